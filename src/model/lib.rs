//! What is to be done, before anything is: a [`recipe`] becomes a node of the [`graph`], the graph a [`plan`] of frozen
//! actions, for one record of an [`arch`] each.
//!
//! In: TOML files, the only thing that is read. Out: values, and from them digests, texts and pictures. Knows nothing of
//! stores, processes, networks or the build machine.

pub mod arch;
pub mod graph;
pub mod plan;
pub mod recipe;
