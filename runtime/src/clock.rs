//! Wall-clock time, and its text form by `strftime` formats.
//!
//! Comes in: nanoseconds, and from [`Clock`] what only the machine knows: the time now and the
//! local zone. Goes out: text as the C locale has it. The calendar is computed here.

use std::fmt::{self, Write};

/// What timestamps need of the machine. [`crate::linux`] asks the C library; tests fix an answer.
pub trait Clock {
    /// Nanoseconds since 1970, now.
    fn now(&self) -> i64;

    /// What to add to nanoseconds since boot to get nanoseconds since 1970.
    fn boot_to_wall(&self) -> i64;

    /// What to add to nanoseconds of TAI to get nanoseconds since 1970.
    fn tai_to_wall(&self) -> i64;

    /// The local zone at so many seconds since 1970.
    fn zone(&self, seconds: i64) -> Zone;
}

/// What a time zone says of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Seconds east of Greenwich.
    pub offset: i32,
    /// `UTC`, `CEST`
    pub name: String,
}

impl Zone {
    /// Coordinated universal time.
    pub fn utc() -> Self {
        Zone { offset: 0, name: "UTC".to_owned() }
    }
}

/// Whose conversions a format uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The C library's: the `time` builtin.
    C,
    /// The `strftime` builtin's, where `%f`, `%k` and `%l` are micro-, nano- and milliseconds.
    Fractions,
}

/// A moment taken apart by the local calendar.
#[derive(Clone, Debug)]
struct Local {
    seconds: i64,
    nanos: u32,
    year: i64,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
    /// From Sunday, 0.
    weekday: u32,
    /// From 1 January, 0.
    yearday: u32,
    zone: Zone,
}

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const NANOS: i64 = 1_000_000_000;

/// `nanos` since 1970 as text. A conversion that `dialect` does not have stays as it is.
pub fn strftime(format: &str, nanos: i64, dialect: Dialect, clock: &dyn Clock) -> String {
    let seconds = nanos.div_euclid(NANOS);
    let local = Local::new(seconds, nanos.rem_euclid(NANOS) as u32, clock.zone(seconds));
    let mut out = String::new();
    local.write(&mut out, format, dialect);
    out
}

impl Local {
    fn new(seconds: i64, nanos: u32, zone: Zone) -> Self {
        let shifted = seconds.saturating_add(zone.offset.into());
        let (days, rest) = (shifted.div_euclid(86_400), shifted.rem_euclid(86_400) as u32);
        let (year, month, day) = civil(days);
        Local {
            seconds,
            nanos,
            year,
            month,
            day,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
            weekday: (days + 4).rem_euclid(7) as u32,
            yearday: (days - days_before(year)) as u32,
            zone,
        }
    }

    fn write(&self, out: &mut String, format: &str, dialect: Dialect) {
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            let spec = &rest[at..];
            // Flags and a width choose a padding; `E` and `O` change nothing in the C locale.
            let end =
                spec[1..].find(|c: char| !matches!(c, '-' | '_' | '0'..='9' | 'E' | 'O')).map(|end| end + 1);
            let Some((end, letter)) = end.and_then(|end| Some((end, spec[end..].chars().next()?))) else {
                out.push_str(spec);
                return;
            };
            let mut text = String::new();
            match self.conversion(&mut text, letter, dialect) {
                Ok(()) => out.push_str(&pad(&text, &spec[1..end])),
                Err(fmt::Error) => out.push_str(&spec[..end + letter.len_utf8()]),
            }
            rest = &spec[end + letter.len_utf8()..];
        }
        out.push_str(rest);
    }

    /// One conversion; an error when there is no such.
    fn conversion(&self, out: &mut String, letter: char, dialect: Dialect) -> fmt::Result {
        if dialect == Dialect::Fractions {
            match letter {
                'f' => return write!(out, "{:06}", self.nanos / 1000),
                'k' => return write!(out, "{:09}", self.nanos),
                'l' => return write!(out, "{:03}", self.nanos / 1_000_000),
                _ => {}
            }
        }
        if let Some(format) = composite(letter) {
            self.write(out, format, dialect);
            return Ok(());
        }
        let weekday = DAYS[self.weekday as usize];
        let month = MONTHS[self.month as usize - 1];
        let hour12 = (self.hour + 11) % 12 + 1;
        let (week_year, week) = self.iso_week();
        match letter {
            'a' => out.write_str(&weekday[..3]),
            'A' => out.write_str(weekday),
            'b' | 'h' => out.write_str(&month[..3]),
            'B' => out.write_str(month),
            'C' => write!(out, "{:02}", self.year.div_euclid(100)),
            'd' => write!(out, "{:02}", self.day),
            'e' => write!(out, "{:2}", self.day),
            'g' => write!(out, "{:02}", week_year.rem_euclid(100)),
            'G' => write!(out, "{week_year}"),
            'H' => write!(out, "{:02}", self.hour),
            'I' => write!(out, "{hour12:02}"),
            'j' => write!(out, "{:03}", self.yearday + 1),
            'k' => write!(out, "{:2}", self.hour),
            'l' => write!(out, "{hour12:2}"),
            'm' => write!(out, "{:02}", self.month),
            'M' => write!(out, "{:02}", self.minute),
            'n' => out.write_char('\n'),
            'p' => out.write_str(if self.hour < 12 { "AM" } else { "PM" }),
            'P' => out.write_str(if self.hour < 12 { "am" } else { "pm" }),
            's' => write!(out, "{}", self.seconds),
            'S' => write!(out, "{:02}", self.second),
            't' => out.write_char('\t'),
            'u' => write!(out, "{}", (self.weekday + 6) % 7 + 1),
            'U' => write!(out, "{:02}", (self.yearday + 7 - self.weekday) / 7),
            'V' => write!(out, "{week:02}"),
            'w' => write!(out, "{}", self.weekday),
            'W' => write!(out, "{:02}", (self.yearday + 7 - (self.weekday + 6) % 7) / 7),
            'y' => write!(out, "{:02}", self.year.rem_euclid(100)),
            'Y' => write!(out, "{}", self.year),
            'z' => self.offset(out),
            'Z' => out.write_str(&self.zone.name),
            '%' => out.write_char('%'),
            _ => Err(fmt::Error),
        }
    }

    fn offset(&self, out: &mut String) -> fmt::Result {
        let sign = if self.zone.offset < 0 { '-' } else { '+' };
        let minutes = self.zone.offset.unsigned_abs() / 60;
        write!(out, "{sign}{:02}{:02}", minutes / 60, minutes % 60)
    }

    /// Year and number of the ISO 8601 week: weeks begin on Monday, the first one of a year holds
    /// its first Thursday.
    fn iso_week(&self) -> (i64, i64) {
        let thursday = i64::from(self.yearday) - i64::from((self.weekday + 6) % 7) + 3;
        let year = if thursday < 0 {
            self.year - 1
        } else if thursday >= days_before(self.year + 1) - days_before(self.year) {
            self.year + 1
        } else {
            self.year
        };
        let yearday = thursday + days_before(self.year) - days_before(year);
        (year, yearday / 7 + 1)
    }
}

/// The conversions that stand for several others.
fn composite(letter: char) -> Option<&'static str> {
    Some(match letter {
        'c' => "%a %b %e %H:%M:%S %Y",
        'D' | 'x' => "%m/%d/%y",
        'F' => "%Y-%m-%d",
        'r' => "%I:%M:%S %p",
        'R' => "%H:%M",
        'T' | 'X' => "%H:%M:%S",
        _ => return None,
    })
}

/// Applies glibc's `-` (no padding), `_` (spaces) and width to a conversion's text.
fn pad(text: &str, flags: &str) -> String {
    let numeric = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b' ');
    let bare = match text.trim_start_matches([' ', '0']) {
        "" => "0",
        bare => bare,
    };
    let width = flags.trim_start_matches(['-', '_', '0', 'E', 'O']).parse().unwrap_or(0).min(1024);
    match flags.chars().next() {
        Some('-') if numeric => bare.to_owned(),
        Some('_') if numeric => format!("{bare:>width$}", width = text.len().max(width)),
        _ if numeric => format!("{text:0>width$}"),
        _ => format!("{text:>width$}"),
    }
}

/// Year, month and day of a day counted from 1 January 1970, by the Gregorian calendar.
///
/// Years are counted from 1 March, so that the leap day is a year's last one.
fn civil(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * from_march + 2) / 5 + 1) as u32;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 } as u32;
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// Days from 1 January 1970 to 1 January of `year`.
fn days_before(year: i64) -> i64 {
    let past = year - 1;
    365 * (year - 1970) + past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400) - 477
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A clock that stands still, in one zone.
    pub(crate) struct Fixed {
        pub(crate) now: i64,
        pub(crate) zone: Zone,
    }

    impl Clock for Fixed {
        fn now(&self) -> i64 {
            self.now
        }

        fn boot_to_wall(&self) -> i64 {
            1_700_000_000 * NANOS
        }

        fn tai_to_wall(&self) -> i64 {
            -37 * NANOS
        }

        fn zone(&self, _: i64) -> Zone {
            self.zone.clone()
        }
    }

    fn check(format: &str, seconds: i64, dialect: Dialect, zone: (i32, &str), expected: &str) {
        let zone = Zone { offset: zone.0, name: zone.1.to_owned() };
        let nanos = seconds * NANOS + 7_008_009;
        assert_eq!(strftime(format, nanos, dialect, &Fixed { now: 0, zone }), expected, "{format} {seconds}");
    }

    #[test]
    fn formats_are_those_of_the_c_locale() {
        let utc = (0, "UTC");
        for (format, seconds, expected) in [
            ("%Y-%m-%d %H:%M:%S", 0, "1970-01-01 00:00:00"),
            ("%F %T %a %A", 951_782_400, "2000-02-29 00:00:00 Tue Tuesday"),
            ("%F %T", -1, "1969-12-31 23:59:59"),
            (
                "%c|%x|%X|%r|%R|%D",
                1_795_168_331,
                "Fri Nov 20 09:52:11 2026|11/20/26|09:52:11|09:52:11 AM|09:52|11/20/26",
            ),
            (
                "%U %V %W %G %g %s %C %y %j %h %u %w %p %P",
                1_795_168_331,
                "46 47 46 2026 26 1795168331 20 26 324 Nov 5 5 AM am",
            ),
            ("%I %l %k %e", 1_795_168_331, "09  9  9 20"),
            ("%I %p", 1_795_132_800, "12 AM"),
            ("%n%t%%", 0, "\n\t%"),
            ("%f %Q %E % é %é%", 0, "%f %Q %E % é %é%"),
            ("%5Y|%-d|%_m|%-e|%10a|%EY|%Od", 86_400, "01970|2| 1|2|       Fri|1970|02"),
            ("%G-W%V", 1_609_459_200, "2020-W53"),
            ("%G-W%V", 1_230_768_000 - 86_400 * 3, "2009-W01"),
        ] {
            check(format, seconds, Dialect::C, utc, expected);
        }
    }

    #[test]
    fn fractions_are_micro_nano_and_milliseconds() {
        check("%S.%f %k %l", 5, Dialect::Fractions, (0, "UTC"), "05.007008 007008009 007");
    }

    #[test]
    fn local_time_is_that_of_the_zone() {
        check("%F %T %z %Z", 0, Dialect::C, (-5 * 3600, "EST"), "1969-12-31 19:00:00 -0500 EST");
        check("%F %T %z %Z", 0, Dialect::C, (20_700, "+0545"), "1970-01-01 05:45:00 +0545 +0545");
    }
}
