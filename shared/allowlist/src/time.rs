//! Times as the project writes them: whole seconds since 1970, and RFC 3339 in UTC.

/// `2026-11-24T12:00:00Z` for seconds since 1970.
///
/// ```
/// use allowlist::time::{parse_seconds, rfc3339};
/// assert_eq!(rfc3339(1_800_000_000), "2027-01-15T08:00:00Z");
/// assert_eq!(parse_seconds("2027-01-15T08:00:00Z"), Some(1_800_000_000));
/// ```
#[must_use]
pub fn rfc3339(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date_of(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Seconds since 1970 of `2026-11-24T12:00:00Z`; `None` for anything else, also for years after 9999 (RFC 3339).
#[must_use]
pub fn parse_seconds(text: &str) -> Option<i64> {
    let rest = text.strip_suffix('Z')?;
    let (date, time) = rest.split_once('T')?;
    let numbers = |text: &str, separator: char| -> Option<[i64; 3]> {
        let parts: Option<Vec<i64>> = text.split(separator).map(|part| part.parse().ok()).collect();
        parts?.try_into().ok()
    };
    let ([year, month, day], [hour, minute, second]) = (numbers(date, '-')?, numbers(time, ':')?);
    let in_two_digits = |number: &i64| (0..100).contains(number);
    if !(0..10_000).contains(&year) || ![month, day, hour, minute, second].iter().all(in_two_digits)
    {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    (rfc3339(seconds) == text).then_some(seconds)
}

/// The shortest time that an entry may be asked for, in seconds.
pub const SHORTEST_ENTRY: i64 = 300;

/// Seconds of a duration like `30m`, `2h` or `1d`, from 5 minutes to `most` seconds; `None` for anything else.
///
/// ```
/// use allowlist::time::parse_duration;
/// assert_eq!(parse_duration("2h", 86_400), Some(7200));
/// assert_eq!(parse_duration("2d", 86_400), None);
/// ```
#[must_use]
pub fn parse_duration(text: &str, most: i64) -> Option<i64> {
    let seconds = match text.chars().last()? {
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let number = text.get(..text.len() - 1)?;
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds = number.parse::<i64>().ok()?.checked_mul(seconds)?;
    (SHORTEST_ENTRY <= seconds && seconds <= most).then_some(seconds)
}

/// The date of a day since 1970-01-01 in the Gregorian calendar.
/// <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>
fn date_of(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// <https://howardhinnant.github.io/date_algorithms.html#days_from_civil>
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn leap_days_and_turns_of_years_are_right() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
        }
    }

    #[test]
    fn only_one_way_of_writing_is_read() {
        for text in [
            "",
            "2026-11-24",
            "2026-13-01T00:00:00Z",
            "2026-11-24T12:00:00+00:00",
            "x",
            "2026-02-29T00:00:00Z",
            "10000-01-01T00:00:00Z",
            "9223372036854775807-01-01T00:00:00Z",
            "2026-9223372036854775807-01T00:00:00Z",
            "2026-01-01T-9223372036854775808:00:00Z",
        ] {
            assert_eq!(parse_seconds(text), None, "{text}");
        }
    }

    #[test]
    fn durations_have_one_unit_and_bounds() {
        for (text, seconds) in [("5m", 300), ("30m", 1800), ("24h", 86_400), ("1d", 86_400)] {
            assert_eq!(parse_duration(text, 86_400), Some(seconds), "{text}");
        }
        for text in [
            "",
            "m",
            "4m",
            "1s",
            "2",
            "-2h",
            "+2h",
            "2 h",
            "25h",
            "1h30m",
            "9999999999999999999h",
            "2時",
        ] {
            assert_eq!(parse_duration(text, 86_400), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_time_reads_back_as_written(seconds in 0i64..253_402_300_800) {
            prop_assert_eq!(parse_seconds(&rfc3339(seconds)), Some(seconds));
        }
    }
}
