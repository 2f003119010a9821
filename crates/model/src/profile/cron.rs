//! Cron expressions of five fields, and `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
//!
//! Crate `croner` reads them and walks the calendar. In front of it stands a check of the grammar,
//! because croner takes names in any field (`0 MON * * *`) and passes over what is empty (`1,,2`).
//! Time zones are not its business: what it makes of lists of hours when the clocks change is not
//! what is promised here (see `schedule.rs`), so that it walks wall clock times only.
//!
//! Days as in Vixie cron: with both a day of the month and a day of the week, either will do.

use std::str::FromStr;

use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;

use super::weekday::Weekday;
use crate::{Error, Result};

/// Longest expression, in bytes.
const MOST_BYTES: usize = 250;

#[derive(Clone, Debug)]
pub(super) struct Cron {
    croner: croner::Cron,
    pub(super) days: Days,
}

/// Which days, beyond plain numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Days {
    /// `L`.
    pub(super) is_last: bool,
    /// `LW`.
    pub(super) is_last_working_day: bool,
    /// `15W`.
    pub(super) nearest: Vec<u16>,
    /// `MON#1`.
    pub(super) nth: Vec<(u16, Weekday)>,
    /// `FRIL`, `5L`, `5#L`.
    pub(super) last: Vec<Weekday>,
}

struct Field {
    name: &'static str,
    least: u16,
    most: u16,
    /// Names of its values, from `least`.
    names: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", least: 0, most: 59, names: &[] };
const HOUR: Field = Field { name: "hour", least: 0, most: 23, names: &[] };
const DAY: Field = Field { name: "day of month", least: 1, most: 31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    least: 1,
    most: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
};
const WEEKDAY: Field = Field {
    name: "day of week",
    least: 0,
    most: 7,
    names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
};

impl Cron {
    /// The first wall clock time after `wall`. `None` at the end of the calendar.
    pub(super) fn next(&self, wall: DateTime) -> Option<DateTime> {
        self.croner.find_next_occurrence(&wall, false).ok()
    }

    pub(super) fn is_every_hour(&self) -> bool {
        self.hours().len() == 24
    }

    pub(super) fn minutes(&self) -> Vec<u16> {
        self.croner.pattern.minutes.values()
    }

    pub(super) fn hours(&self) -> Vec<u16> {
        self.croner.pattern.hours.values()
    }

    pub(super) fn months(&self) -> Vec<u16> {
        self.croner.pattern.months.values()
    }

    /// Days of the month as numbers; `None` if the field is `*`.
    pub(super) fn month_days(&self) -> Option<Vec<u16>> {
        let pattern = &self.croner.pattern;
        (!pattern.is_dom_wildcard()).then(|| pattern.days.values())
    }

    /// Days of the week; `None` if the field is `*`.
    pub(super) fn weekdays(&self) -> Option<Vec<Weekday>> {
        let pattern = &self.croner.pattern;
        let mut days: Vec<Weekday> =
            pattern.days_of_week.values().into_iter().map(Weekday::of_cron).collect();
        days.sort_unstable();
        (!pattern.is_dow_wildcard()).then_some(days)
    }
}

impl FromStr for Cron {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.len() > MOST_BYTES {
            return Err(Error::invalid(format!(
                "frequency: a cron expression of {} bytes is longer than {MOST_BYTES}",
                text.len()
            )));
        }
        let wrong = |why: String| {
            Error::invalid(format!(
                "frequency: {text:?} is no cron expression: {why}; write five fields, like 30 2 * \
                 * MON-FRI for 02:30 from Monday to Friday"
            ))
        };
        let (plain, days) = plain(text).map_err(wrong)?;
        let parser =
            CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let croner = parser.parse(&plain).map_err(|error| wrong(error.to_string()))?;
        let cron = Self { croner, days };
        // The calendar repeats after 400 years, to the day of the week.
        let start = jiff::civil::date(2000, 1, 1).at(0, 0, 0, 0);
        match cron.next(start) {
            Some(first) if first.year() < 2401 => Ok(cron),
            _ => Err(Error::invalid(format!(
                "frequency: {text:?} never comes: no such day exists in these months"
            ))),
        }
    }
}

/// The expression with numbers for names, its grammar checked.
fn plain(text: &str) -> Result<(String, Days), String> {
    let text = match text.trim().to_ascii_lowercase().as_str() {
        "@hourly" => "0 * * * *",
        "@daily" | "@midnight" => "0 0 * * *",
        "@weekly" => "0 0 * * 0",
        "@monthly" => "0 0 1 * *",
        "@yearly" | "@annually" => "0 0 1 1 *",
        _ => text,
    };
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields[..] else {
        return Err(format!("it has {} fields", fields.len()));
    };
    let mut days = Days::default();
    let plain = [
        MINUTE.plain(minute, &mut days)?,
        HOUR.plain(hour, &mut days)?,
        DAY.plain(day, &mut days)?,
        MONTH.plain(month, &mut days)?,
        WEEKDAY.plain(weekday, &mut days)?,
    ];
    if days.is_last && days.is_last_working_day {
        return Err("L and LW together are not understood".into());
    }
    Ok((plain.join(" "), days))
}

impl Field {
    fn plain(&self, text: &str, days: &mut Days) -> Result<String, String> {
        if text == "?" && (self.is_day() || self.is_weekday()) {
            return Ok("*".into());
        }
        let parts: Result<Vec<String>, String> =
            text.split(',').map(|part| self.part(part, days)).collect();
        Ok(parts?.join(","))
    }

    fn is_day(&self) -> bool {
        self.most == DAY.most
    }

    fn is_weekday(&self) -> bool {
        self.most == WEEKDAY.most
    }

    /// One of the things between commas.
    fn part(&self, part: &str, days: &mut Days) -> Result<String, String> {
        if let Some(special) = self.special(part, days) {
            return special;
        }
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (part, None),
        };
        let range = match range.split_once('-') {
            _ if range == "*" => "*".to_owned(),
            Some((from, to)) => {
                let (from, mut to) = (self.value(from)?, self.value(to)?);
                // To Sunday, as the last day of the week.
                if self.is_weekday() && to == 0 && from > 0 {
                    to = 7;
                }
                if from > to {
                    return Err(format!("{} {range} ends before it begins", self.name));
                }
                format!("{from}-{to}")
            }
            None if step.is_some() => {
                return Err(format!(
                    "{} {part}: steps need a range, like */5 or 0-30/5",
                    self.name
                ));
            }
            None => self.value(range)?.to_string(),
        };
        let Some(step) = step else { return Ok(range) };
        match number(step) {
            Some(step) if (1..=self.most).contains(&step) => Ok(format!("{range}/{step}")),
            _ => Err(format!("{} {part}: a step is between 1 and {}", self.name, self.most)),
        }
    }

    /// `L`, `LW` and `15W` of a day of month; `MON#1`, `FRIL` of a day of week.
    fn special(&self, part: &str, days: &mut Days) -> Option<Result<String, String>> {
        let part = part.to_ascii_uppercase();
        if self.is_day() {
            if part == "L" {
                days.is_last = true;
                return Some(Ok(part));
            }
            if part == "LW" {
                days.is_last_working_day = true;
                return Some(Ok(part));
            }
            let day = part.strip_suffix('W')?;
            return Some(self.value(day).map(|day| {
                days.nearest.push(day);
                format!("{day}W")
            }));
        }
        if !self.is_weekday() {
            return None;
        }
        if let Some((day, nth)) = part.split_once('#').filter(|(_, nth)| *nth != "L") {
            return Some(self.value(day).and_then(|day| match number(nth) {
                Some(nth @ 1..=5) => {
                    days.nth.push((nth, Weekday::of_cron(day)));
                    Ok(format!("{day}#{nth}"))
                }
                _ => Err(format!("{} {part}: which of the month is between 1 and 5", self.name)),
            }));
        }
        let day = part.strip_suffix("#L").or_else(|| part.strip_suffix('L'))?;
        Some(self.value(day).map(|day| {
            days.last.push(Weekday::of_cron(day));
            format!("{day}#L")
        }))
    }

    fn value(&self, text: &str) -> Result<u16, String> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let value = named.map(|at| at as u16 + self.least).or_else(|| number(text));
        value.filter(|value| (self.least..=self.most).contains(value)).ok_or_else(|| {
            let names = match self.names {
                [first, .., last] => format!(" or {first} to {last}"),
                _ => String::new(),
            };
            format!("{} {text:?} is none of {} to {}{names}", self.name, self.least, self.most)
        })
    }
}

/// A plain number of few digits.
fn number(text: &str) -> Option<u16> {
    let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}
