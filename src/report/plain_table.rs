use comfy_table::{ContentArrangement, Table, presets};

use super::table::WIDTH;

/// A table without lines.
pub(super) fn plain() -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH);
    table
}
