//! A frequency in plain words, so that whoever wrote it sees what it means.
//!
//! Of cron expressions the words are made of the sets that were read, not of the text: `*/7` is not
//! "every 7 minutes", because it begins anew each hour.

use super::cron::Cron;
use super::frequency::Pattern;
use super::weekday::{Weekday, month_name};

/// Most times of a day that are told one by one.
const MOST_TIMES: usize = 8;

pub(super) fn of(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Hourly { minute } => format!("at minute {minute} of every hour"),
        Pattern::Daily { time } => format!("at {time} every day"),
        Pattern::Weekly { weekday, time } => format!("at {time} every {weekday}"),
        Pattern::Monthly { day, time } => {
            let shorter = if *day > 28 { ", or on the last day where it is shorter" } else { "" };
            format!("at {time} on day {day} of each month{shorter}")
        }
        Pattern::Yearly { month, day, time } => {
            let other = if (*month, *day) == (2, 29) { ", or on 28 February" } else { "" };
            format!("at {time} on {day} {} of each year{other}", month_name(*month as usize))
        }
        Pattern::Cron(cron) => cron_words(cron),
    }
}

fn cron_words(cron: &Cron) -> String {
    let time = times(&cron.minutes(), &cron.hours());
    let months = cron.months();
    let names: Vec<&str> = months.iter().map(|m| month_name(*m as usize)).collect();
    let (of_month, in_months) = if months.len() == 12 {
        ("of each month".to_owned(), String::new())
    } else {
        (format!("of {}", list(&names)), format!(" in {}", list(&names)))
    };
    let days = days_of_month(cron, &of_month);
    let weekdays = days_of_week(cron, &of_month, &in_months);
    match (days.is_empty(), weekdays.is_empty()) {
        (true, true) if cron.is_every_hour() => {
            let each_day = if months.len() == 12 { "" } else { " of every day" };
            format!("{time}{each_day}{in_months}")
        }
        (true, true) => format!("{time} every day{in_months}"),
        (false, true) => format!("{time} {}", list(&days)),
        (true, false) => format!("{time} {}", list(&weekdays)),
        (false, false) => format!("{time} {}, and also {}", list(&days), list(&weekdays)),
    }
}

/// `at 02:30 and 14:30`, `at minute 15 of every hour`.
fn times(minutes: &[u16], hours: &[u16]) -> String {
    if hours.len() == 24 {
        return match minutes {
            _ if minutes.len() == 60 => "every minute".into(),
            _ => format!("{} of every hour", at_minutes(minutes)),
        };
    }
    if minutes.len() * hours.len() <= MOST_TIMES {
        let times: Vec<String> = hours
            .iter()
            .flat_map(|hour| minutes.iter().map(move |minute| format!("{hour:02}:{minute:02}")))
            .collect();
        return format!("at {}", list(&times));
    }
    let hours = match (hours, step(hours)) {
        ([hour], _) => format!("hour {hour}"),
        (_, Some(1)) => format!("hours {} to {}", hours[0], hours[hours.len() - 1]),
        _ => format!("hours {}", list(hours)),
    };
    let minutes = if minutes.len() == 60 { "every minute".into() } else { at_minutes(minutes) };
    format!("{minutes} of the {hours}")
}

/// `at minutes 0, 15, 30 and 45`.
fn at_minutes(minutes: &[u16]) -> String {
    match minutes {
        [minute] => format!("at minute {minute}"),
        _ if minutes.len() > MOST_TIMES => match step(minutes) {
            Some(1) => format!("at minutes {} to {}", minutes[0], minutes[minutes.len() - 1]),
            Some(step) => {
                let nth = match step {
                    2 => "2nd".to_owned(),
                    3 => "3rd".to_owned(),
                    _ => format!("{step}th"),
                };
                format!(
                    "at every {nth} minute from {} to {}",
                    minutes[0],
                    minutes[minutes.len() - 1]
                )
            }
            None => format!("at minutes {}", list(minutes)),
        },
        _ => format!("at minutes {}", list(minutes)),
    }
}

/// The distance between neighbours, if it is one for all.
fn step(numbers: &[u16]) -> Option<u16> {
    let step = numbers.get(1)? - numbers[0];
    numbers.windows(2).all(|pair| pair[1] - pair[0] == step).then_some(step)
}

/// Empty if the field is `*`.
fn days_of_month(cron: &Cron, of_month: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let Some(numbers) = cron.month_days() else { return parts };
    if numbers.len() == 31 {
        parts.push(format!("on every day {of_month}"));
    } else if !numbers.is_empty() {
        let days = if numbers.len() == 1 { "day" } else { "days" };
        let has = if numbers.iter().all(|day| *day > 28) { ", where there is one" } else { "" };
        parts.push(format!("on {days} {} {of_month}{has}", ranges(&numbers)));
    }
    for day in &cron.days.nearest {
        parts.push(format!("on the day from Monday to Friday nearest to day {day} {of_month}"));
    }
    if cron.days.is_last {
        parts.push(format!("on the last day {of_month}"));
    }
    if cron.days.is_last_working_day {
        parts.push(format!("on the last day from Monday to Friday {of_month}"));
    }
    parts
}

/// Empty if the field is `*`.
fn days_of_week(cron: &Cron, of_month: &str, in_months: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let Some(weekdays) = cron.weekdays() else { return parts };
    if weekdays.len() == 7 {
        parts.push(format!("every day{in_months}"));
    } else if !weekdays.is_empty() {
        parts.push(format!("every {}{in_months}", names(&weekdays)));
    }
    const ORDINALS: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];
    for (nth, weekday) in &cron.days.nth {
        let has = if *nth == 5 { ", where there is one" } else { "" };
        let nth = ORDINALS[*nth as usize - 1];
        parts.push(format!("on the {nth} {weekday} {of_month}{has}"));
    }
    for weekday in &cron.days.last {
        parts.push(format!("on the last {weekday} {of_month}"));
    }
    parts
}

/// `Monday to Friday`, `Tuesday and Thursday`; ascending.
fn names(weekdays: &[Weekday]) -> String {
    let numbers: Vec<u16> = weekdays.iter().map(|day| day.number() as u16).collect();
    match weekdays {
        [first, _, .., last] if step(&numbers) == Some(1) && weekdays.len() > 2 => {
            format!("day from {first} to {last}")
        }
        _ => list(weekdays),
    }
}

/// `1, 5 to 9 and 20`.
fn ranges(numbers: &[u16]) -> String {
    let mut parts = Vec::new();
    for run in numbers.chunk_by(|a, b| a + 1 == *b) {
        match run {
            [first, _, _, ..] => {
                parts.push(format!("{first} to {}", run[run.len() - 1]));
            }
            _ => parts.extend(run.iter().map(ToString::to_string)),
        }
    }
    list(&parts)
}

/// `a, b and c`.
fn list<T: ToString>(parts: &[T]) -> String {
    let mut parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
    let Some(last) = parts.pop() else { return String::new() };
    if parts.is_empty() { last } else { format!("{} and {last}", parts.join(", ")) }
}
