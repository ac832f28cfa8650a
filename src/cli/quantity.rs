//! Sizes and times as people write them.

use std::time::Duration;

/// Why a word is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum QuantityError {
    #[error("`{text}` is not a size: write a number of bytes, or one with K, M, G or T, for example `10G`")]
    Size { text: String },
    #[error(
        "`{text}` is not a time: write a number of minutes, or one with `s`, `m` or `h`, for example `90s`"
    )]
    Time { text: String },
    #[error("`{text}` is not a load: write a number above 0, for example `2` or `1.5`")]
    Load { text: String },
}

/// A number of bytes, or one with K, M, G or T (powers of 1024); `KiB` and `KB` mean the same as `K`.
pub(super) fn size(text: &str) -> Result<u64, QuantityError> {
    let parse = || {
        let (number, unit) = split(text)?;
        let power = match unit.to_ascii_uppercase().as_str() {
            "" | "B" => 0,
            "K" | "KB" | "KIB" => 1,
            "M" | "MB" | "MIB" => 2,
            "G" | "GB" | "GIB" => 3,
            "T" | "TB" | "TIB" => 4,
            _ => return None,
        };
        number.checked_mul(1 << (10 * power))
    };
    parse().ok_or_else(|| QuantityError::Size { text: text.to_owned() })
}

/// A number of minutes, or one with `s`, `m` or `h`; never nothing.
pub(super) fn time(text: &str) -> Result<Duration, QuantityError> {
    let parse = || {
        let (number, unit) = split(text)?;
        let seconds = match unit {
            "s" => 1,
            "" | "m" | "min" => 60,
            "h" => 3600,
            _ => return None,
        };
        number.checked_mul(seconds).filter(|seconds| *seconds > 0).map(Duration::from_secs)
    };
    parse().ok_or_else(|| QuantityError::Time { text: text.to_owned() })
}

/// A load average: above nothing, with or without a fraction.
pub(super) fn load(text: &str) -> Result<f64, QuantityError> {
    let load = text.trim().parse::<f64>().ok().filter(|load| load.is_finite() && *load > 0.0);
    load.ok_or_else(|| QuantityError::Load { text: text.to_owned() })
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, expected) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("4k", 4 << 10),
            ("10G", 10 << 30),
            ("10 GiB", 10 << 30),
            ("2tb", 2 << 40),
            (" 7B ", 7),
        ] {
            assert_eq!(size(text), Ok(expected), "{text}");
        }
        for wrong in ["", "G", "-1", "1.5G", "10X", "1G1", "99999999999T", "١"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn loads_may_have_a_fraction() {
        assert_eq!([load("2"), load(" 1.5 ")], [Ok(2.0), Ok(1.5)]);
        for wrong in ["", "0", "-1", "inf", "NaN", "many"] {
            assert!(load(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_minutes_unless_they_say_otherwise() {
        for (text, seconds) in [("120", 7200), ("90s", 90), ("2m", 120), ("2 min", 120), ("1h", 3600)] {
            assert_eq!(time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in
            ["", "0", "0s", "s", "-1", "1.5h", "1d", "1M", "99999999999999999999", "9999999999999999999h"]
        {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
