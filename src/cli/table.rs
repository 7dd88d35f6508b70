//! Plain text in columns, for `hob status`.

/// Rows below their headings, each column as wide as its widest cell, two spaces between. What was
/// written by others cannot move the cursor or start a line of its own.
pub(super) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| plain(cell))).collect();
    let mut widths = headings.map(|heading| heading.chars().count());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in std::iter::once(&headings.map(str::to_owned)).chain(&rows) {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str("  ");
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// The text on one line, without what could move the cursor.
pub(super) fn plain(cell: &str) -> String {
    cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_a_cell_stays_in_its_line() {
        let rows = [["1 min".to_owned(), "a\n\u{1b}[31mb".to_owned()], ["2 h".to_owned(), "über".to_owned()]];
        assert_eq!(table(["AGE", "NOTE"], &rows), "  AGE    NOTE\n  1 min  a  [31mb\n  2 h    über\n");
    }
}
