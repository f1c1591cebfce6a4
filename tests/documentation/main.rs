//! What the pages say is what the program does. Parts of pages that are generated are compared with
//! what they should be; `FLEETSIM_BLESS=1 cargo test --test documentation` writes them anew.

mod outputs;
mod pages;
mod policies;
mod quickstart;
mod readme;
mod reference;
mod schema;
