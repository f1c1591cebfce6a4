//! The command line of fleetsim.

fn main() {}
