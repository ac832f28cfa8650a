//! A cpio archive as the kernel takes it for its first file system (`Documentation/driver-api/early-userspace/`
//! `buffer-format.rst` in its source): the `newc` format, everything root's.

/// What is packed.
pub(crate) struct Archive {
    bytes: Vec<u8>,
    number: u32,
}

const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_755;
const LINK: u32 = 0o120_777;
const CHARACTER_DEVICE: u32 = 0o020_600;

impl Archive {
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::new(), number: 0 }
    }

    pub(crate) fn folder(&mut self, name: &str) {
        self.member(name, FOLDER, (0, 0), b"");
    }

    pub(crate) fn file(&mut self, name: &str, bytes: &[u8]) {
        self.member(name, FILE, (0, 0), bytes);
    }

    pub(crate) fn link(&mut self, name: &str, target: &str) {
        self.member(name, LINK, (0, 0), target.as_bytes());
    }

    pub(crate) fn character_device(&mut self, name: &str, major: u32, minor: u32) {
        self.member(name, CHARACTER_DEVICE, (major, minor), b"");
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.member("TRAILER!!!", 0, (0, 0), b"");
        self.bytes
    }

    fn member(&mut self, name: &str, mode: u32, device: (u32, u32), bytes: &[u8]) {
        self.number += 1;
        let size = u32::try_from(bytes.len()).unwrap();
        let length = u32::try_from(name.len() + 1).unwrap();
        let fields = [self.number, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, length, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(bytes);
        self.pad();
    }

    /// To a multiple of four bytes.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}
