//! HTTP requests that can be watched: what arrives comes through a channel, so that a stall is noticed and Ctrl-C obeyed
//! while the socket is still being waited for.

use std::error::Error;
use std::io::{self, Read};
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use reqwest::blocking::{Client, Request, Response};
use reqwest::header::{ACCEPT, CONTENT_RANGE, HeaderMap, RANGE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode, Url};

use super::Options;
use super::error::{FetchError, UrlError};
use super::hosts::{Hosts, Visit};

const REDIRECTS: usize = 5;
const CHUNK: usize = 64 << 10;
/// How many chunks may wait to be hashed and written.
const BACKLOG: usize = 32;
/// How often a wait looks up to see whether it has been cancelled.
const GLANCE: Duration = Duration::from_millis(100);

/// The clients and what they have learnt about hosts.
pub(super) struct Http {
    /// Never dropped: dropping a client waits for its name lookups, which can take a resolver's twenty seconds.
    quick: ManuallyDrop<Client>,
    patient: ManuallyDrop<Client>,
    connect_timeout: Duration,
    patient_timeout: Duration,
    stall_timeout: Duration,
    hosts: Hosts,
}

/// The beginning of an answer.
pub(super) struct Head {
    pub(super) status: StatusCode,
    /// Where the answer came from in the end.
    pub(super) url: Url,
    /// The bytes still to come, where the server says so.
    pub(super) length: Option<u64>,
    /// The offset of the first byte, for a part of a file.
    pub(super) start: Option<u64>,
}

enum Message {
    Head(Box<Head>, Option<u64>),
    Chunk(Vec<u8>),
    End,
    Refused(reqwest::Error),
    Broken(io::Error),
}

impl Http {
    pub(super) fn new(options: &Options) -> Result<Self, FetchError> {
        let client = |connect: Duration| {
            Client::builder()
                .user_agent(concat!("k3sroot/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(connect)
                // Only so that an abandoned thread ends some day: stalls are noticed in `Transfer`.
                .timeout(options.stall_timeout + connect + Duration::from_secs(5))
                .redirect(Policy::limited(REDIRECTS))
                .build()
                .map(ManuallyDrop::new)
                .map_err(FetchError::Client)
        };
        Ok(Self {
            quick: client(options.connect_timeout)?,
            patient: client(options.patient_timeout)?,
            connect_timeout: options.connect_timeout,
            patient_timeout: options.patient_timeout,
            stall_timeout: options.stall_timeout,
            hosts: Hosts::new(options.per_host),
        })
    }

    /// Asks for `url`, from byte `from` on, and waits for the beginning of a good answer.
    pub(super) fn get<'a>(
        &'a self,
        url: &Url,
        from: u64,
        accept: Option<&'static str>,
        patient: bool,
        cancel: &'a AtomicBool,
    ) -> Result<(Head, Transfer<'a>), UrlError> {
        let host = url.host_str().ok_or(UrlError::Malformed { rule: "a host is missing" })?;
        let host = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
        let visit = self.hosts.visit(&host, patient, cancel)?;
        let (client, connect_timeout) = if patient {
            (Client::clone(&self.patient), self.patient_timeout)
        } else {
            (Client::clone(&self.quick), self.connect_timeout)
        };
        let mut request = Request::new(Method::GET, url.clone());
        if let Some(accept) = accept.and_then(|accept| accept.parse().ok()) {
            request.headers_mut().insert(ACCEPT, accept);
        }
        if let Some(range) = format!("bytes={from}-").parse().ok().filter(|_| from > 0) {
            request.headers_mut().insert(RANGE, range);
        }
        let (sender, receiver) = sync_channel(BACKLOG);
        thread::spawn(move || transfer(&client, request, &sender));
        let mut transfer = Transfer { receiver, visit, stall: self.stall_timeout, bytes: 0, cancel };
        match transfer.next(self.stall_timeout + connect_timeout)? {
            Message::Head(head, retry_after) => {
                transfer.visit.answered();
                if head.status.is_success() || head.status == StatusCode::RANGE_NOT_SATISFIABLE {
                    Ok((*head, transfer))
                } else {
                    Err(UrlError::Status { code: head.status.as_u16(), retry_after })
                }
            }
            Message::Refused(error) => Err(refused(error, &transfer.visit, patient, connect_timeout)),
            Message::Broken(source) => Err(UrlError::Interrupted { bytes: 0, source: source.into() }),
            Message::Chunk(_) | Message::End => unreachable!("an answer begins with its head"),
        }
    }

    /// The whole of a small text, and where it came from.
    pub(super) fn text(
        &self,
        url: &Url,
        accept: &'static str,
        patient: bool,
        limit: u64,
        cancel: &AtomicBool,
    ) -> Result<(Url, String), UrlError> {
        let (head, mut transfer) = self.get(url, 0, Some(accept), patient, cancel)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = transfer.chunk()? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > limit {
                return Err(UrlError::TooLarge { limit });
            }
        }
        Ok((head.url, String::from_utf8_lossy(&bytes).into_owned()))
    }
}

fn refused(error: reqwest::Error, visit: &Visit<'_>, patient: bool, timeout: Duration) -> UrlError {
    let source = error.without_url();
    let host = visit.host().to_owned();
    if source.is_redirect() {
        visit.answered();
        return UrlError::Redirects { limit: REDIRECTS };
    }
    if !source.is_connect() {
        return UrlError::Interrupted { bytes: 0, source: source.into() };
    }
    if source.is_timeout() || timed_out(&source) {
        visit.was_slow(patient);
        return UrlError::Slow { host, milliseconds: timeout.as_millis() };
    }
    visit.failed();
    UrlError::Unreachable { host, source }
}

fn timed_out(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        cause = inner.source();
    }
    false
}

/// An answer on its way. Dropping it abandons it.
pub(super) struct Transfer<'a> {
    receiver: Receiver<Message>,
    visit: Visit<'a>,
    stall: Duration,
    bytes: u64,
    cancel: &'a AtomicBool,
}

impl Transfer<'_> {
    /// The next bytes; `None` at the end.
    pub(super) fn chunk(&mut self) -> Result<Option<Vec<u8>>, UrlError> {
        match self.next(self.stall)? {
            Message::Chunk(chunk) => {
                self.bytes += chunk.len() as u64;
                Ok(Some(chunk))
            }
            Message::End => Ok(None),
            Message::Broken(source) => {
                Err(UrlError::Interrupted { bytes: self.bytes, source: source.into() })
            }
            Message::Head(..) | Message::Refused(_) => unreachable!("an answer has one head"),
        }
    }

    fn next(&mut self, patience: Duration) -> Result<Message, UrlError> {
        let start = Instant::now();
        loop {
            if self.cancel.load(Ordering::Relaxed) {
                return Err(UrlError::Cancelled);
            }
            let left = patience.saturating_sub(start.elapsed());
            match self.receiver.recv_timeout(left.min(GLANCE)) {
                Ok(message) => return Ok(message),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                    return Err(UrlError::Stalled { milliseconds: patience.as_millis(), bytes: self.bytes });
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let source = io::Error::from(io::ErrorKind::BrokenPipe).into();
                    return Err(UrlError::Interrupted { bytes: self.bytes, source });
                }
            }
        }
    }
}

/// Runs in a thread of its own until the answer ends or nobody listens.
fn transfer(client: &Client, request: Request, sender: &SyncSender<Message>) {
    let mut response = match client.execute(request) {
        Ok(response) => response,
        Err(error) => {
            let _ = sender.send(Message::Refused(error));
            return;
        }
    };
    let (head, retry_after) = head(&response);
    if sender.send(Message::Head(Box::new(head), retry_after)).is_err() {
        return;
    }
    loop {
        let mut chunk = vec![0; CHUNK];
        let message = match response.read(&mut chunk) {
            Ok(0) => Message::End,
            Ok(count) => {
                chunk.truncate(count);
                Message::Chunk(chunk)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Message::Broken(error),
        };
        let last = !matches!(message, Message::Chunk(_));
        if sender.send(message).is_err() || last {
            return;
        }
    }
}

fn head(response: &Response) -> (Head, Option<u64>) {
    let text = |headers: &HeaderMap, name| {
        headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let range = text(response.headers(), CONTENT_RANGE);
    // `bytes 100-199/200`
    let start =
        range.and_then(|range| range.trim_start_matches("bytes ").split('-').next()?.trim().parse().ok());
    let retry_after = text(response.headers(), RETRY_AFTER).and_then(|text| text.trim().parse().ok());
    let head = Head {
        status: response.status(),
        url: response.url().clone(),
        length: response.content_length(),
        start,
    };
    (head, retry_after)
}

/// The URL for people: without the password that an index's or a proxy's URL may carry.
pub(super) fn without_password(url: &Url) -> String {
    let mut url = url.clone();
    if url.password().is_some() {
        let _ = url.set_password(Some("***"));
    }
    url.to_string()
}
