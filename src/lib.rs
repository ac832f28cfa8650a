//! `k3sroot` builds the userspace that K3s carries, from pinned sources to two deterministic tarballs.
//!
//! The modules follow the data: a [`recipe`] becomes a node of the [`graph`], the graph becomes a [`plan`] of
//! actions, [`execute`] turns actions into outcomes kept in the [`store`] (with [`fetch`] and [`sandbox`] for the
//! bytes that come in and the processes that run), and [`pack`] turns outcomes into the tarballs. Nothing flows back.
//! [`attest`] says what is in them, and [`advisory`] what databases of vulnerabilities say of that.
//! [`lint`] says what of the recipes could be better, [`upkeep`] keeps them up to date;
//! [`rpm`] has the words of specs that let a distribution build it itself;
//! [`check`] does it all twice under different conditions, and compares; [`report`] shows what a run did.

pub mod arch;
pub mod beneath;
pub mod deadline;
pub mod digest;
pub mod locks;
pub mod name;

pub mod recipe;

pub mod upkeep;

pub mod lint;

pub mod graph;

pub mod plan;

pub mod store;

pub mod fetch;

pub mod sandbox;

pub mod execute;

pub mod pack;

pub mod attest;

pub mod advisory;

pub mod compare;

pub mod rpm;

pub mod check;

pub mod report;

pub mod cli;
