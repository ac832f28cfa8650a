//! From outcomes to a root, its tarballs, and what is said of them.
//!
//! [`pack`] chooses and inspects the members and writes them; [`attest`] says what they are made from and under which
//! terms, [`advisory`] what databases of vulnerabilities say of that, [`compare`] how two releases differ. In: what
//! packages installed, as values. Out: bytes and findings. Knows nothing of how packages are built.

pub mod advisory;
pub mod attest;
pub mod compare;
pub mod pack;
