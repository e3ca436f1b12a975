//! Bytes as a person reads them.

/// Bytes with a binary suffix and one decimal: `1.9Mi`. Below one `Ki` the plain number.
pub fn human(bytes: u64) -> String {
    const SUFFIXES: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    if bytes < 1024 {
        return bytes.to_string();
    }
    let bytes = u128::from(bytes);
    let mut text = String::new();
    for (power, suffix) in (1u32..).zip(SUFFIXES) {
        let unit = 1u128 << (10 * power);
        let tenths = (bytes * 10 + unit / 2) / unit;
        text = format!("{}.{}{suffix}", tenths / 10, tenths % 10);
        if tenths < 10 * 1024 {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn the_number_before_the_suffix_stays_under_1024() {
        let cases = [
            (0, "0"),
            (1023, "1023"),
            (1024, "1.0Ki"),
            (1_048_524, "1023.9Ki"),
            (1_048_525, "1.0Mi"),
            (1_992_294, "1.9Mi"),
            (5 << 30, "5.0Gi"),
            (u64::MAX, "16.0Ei"),
        ];
        for (bytes, text) in cases {
            assert_eq!(human(bytes), text);
        }
    }
}
