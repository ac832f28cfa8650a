//! Carries a command's output to its log.
//!
//! Through a pipe, lest the command truncate the log: `echo >/dev/stderr` in a script opens what it finds there anew.
//! And lest it fill the disk: a log has a largest size.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// The reading end, for one thread to copy from.
pub(super) struct Pump {
    reader: File,
    stop: OwnedFd,
}

/// Ends the pump when dropped, once what is in the pipe is copied.
pub(super) struct Stop(#[allow(dead_code)] OwnedFd);

/// How far the output was copied.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Copied {
    /// To its end.
    Whole,
    /// Until the log was full.
    Cut,
}

/// A pump, what stops it, and the writing end for the command.
pub(super) fn pump() -> io::Result<(Pump, Stop, OwnedFd)> {
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    let (stop, stopper) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    Ok((Pump { reader: reader.into(), stop }, Stop(stopper), writer))
}

impl Pump {
    /// Copies until the last writer is gone, or until it is stopped: a process that somehow outlived its sandbox may
    /// hold the pipe open for ever. No more than `room` bytes are copied.
    pub(super) fn run(mut self, mut log: &File, mut room: u64) -> io::Result<Copied> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let mut ready =
                [&self.reader.as_fd(), &self.stop.as_fd()].map(|fd| PollFd::new(*fd, PollFlags::POLLIN));
            match poll(&mut ready, PollTimeout::NONE) {
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
            }
            if ready[0].any() != Some(true) {
                return Ok(Copied::Whole);
            }
            match self.reader.read(&mut buffer) {
                Ok(0) => return Ok(Copied::Whole),
                Ok(count) => {
                    let fits = usize::try_from(room).unwrap_or(usize::MAX).min(count);
                    log.write_all(&buffer[..fits])?;
                    room -= fits as u64;
                    if fits < count {
                        return Ok(Copied::Cut);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Seek;

    use super::*;

    #[test]
    fn a_stopped_pump_first_copies_what_is_there() {
        let mut log = tempfile::tempfile().unwrap();
        let (pump, stop, writer) = pump().unwrap();
        nix::unistd::write(&writer, b"all of it").unwrap();
        drop(stop);
        assert_eq!(pump.run(&log, 9).unwrap(), Copied::Whole);
        assert_eq!(text(&mut log), "all of it");
        drop(writer);
    }

    #[test]
    fn a_full_log_ends_the_copying() {
        let mut log = tempfile::tempfile().unwrap();
        let (pump, stop, writer) = pump().unwrap();
        nix::unistd::write(&writer, b"all of it").unwrap();
        assert_eq!(pump.run(&log, 8).unwrap(), Copied::Cut);
        assert_eq!(text(&mut log), "all of i");
        drop((stop, writer));
    }

    fn text(log: &mut File) -> String {
        let mut text = String::new();
        log.rewind().unwrap();
        log.read_to_string(&mut text).unwrap();
        text
    }
}
