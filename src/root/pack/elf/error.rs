//! Why a file has no facts to tell, and the names in it, of which a hostile file may have too many.

/// Raised when a file has no facts to tell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ElfError {
    /// It does not begin like an ELF file.
    #[error("is not an ELF file")]
    NotElf,
    /// It contradicts itself or ends too early.
    #[error("is a damaged ELF file: {reason}")]
    Damaged {
        /// What the reader says.
        reason: String,
    },
}

impl From<object::read::Error> for ElfError {
    fn from(error: object::read::Error) -> Self {
        Self::damaged(&error.to_string())
    }
}

impl ElfError {
    pub(super) fn damaged(reason: &str) -> Self {
        Self::Damaged { reason: reason.to_owned() }
    }
}

/// Takes names out of a file. A hostile one can point to the same bytes over and over, so all names together are not
/// longer than the file.
pub(super) struct Names {
    left: usize,
}

impl Names {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { left: bytes.len() }
    }

    /// The name as text, with nothing in it that a terminal would act on.
    pub(super) fn take(&mut self, name: &[u8]) -> Result<String, ElfError> {
        let left = self.left.checked_sub(name.len());
        self.left = left.ok_or_else(|| ElfError::damaged("its names are longer than the whole file"))?;
        Ok(String::from_utf8_lossy(name).escape_debug().to_string())
    }
}
