//! Carries a command's output to its log.
//!
//! Through a pipe, lest the command truncate the log: `echo >/dev/stderr` in a script opens what it finds there anew.

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

/// A pump, what stops it, and the writing end for the command.
pub(super) fn pump() -> io::Result<(Pump, Stop, OwnedFd)> {
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    let (stop, stopper) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    Ok((Pump { reader: reader.into(), stop }, Stop(stopper), writer))
}

impl Pump {
    /// Copies until the last writer is gone, or until it is stopped: a process that somehow outlived its sandbox may
    /// hold the pipe open for ever.
    pub(super) fn run(mut self, mut log: &File) -> io::Result<()> {
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
                return Ok(());
            }
            match self.reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => log.write_all(&buffer[..count])?,
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
        pump.run(&log).unwrap();
        let mut text = String::new();
        log.rewind().unwrap();
        log.read_to_string(&mut text).unwrap();
        assert_eq!(text, "all of it");
        drop(writer);
    }
}
