import { Link } from "@tanstack/react-router";
import type { PeriodPreview } from "../../../api/types";
import { WEEKDAYS } from "../../../parts/period/period";
import { useNow } from "../../../parts/when/now";
import { useFormat, useWords } from "../../../words";
import { detail } from "../screen";
import style from "./Calendar.module.css";
import { countOn, dayName, endOf, monthAway, weeksOf } from "./calendar";

/** A month: how many of the snapshots that there are now would still be there on each day. */
export function Calendar({ periods }: { periods: PeriodPreview[] }) {
  const { schedules, times } = useWords();
  const words = schedules.keep;
  const today = dayName(useNow());
  const { month: asked, on } = detail.useSearch();
  const { id } = detail.useParams();
  const month = asked ?? (on ?? today).slice(0, 7);
  const [year, number] = month.split("-").map(Number);
  const title = `${times.months[(number ?? 1) - 1]} ${year}`;
  const to = (away: number) => ({ month: monthAway(month, away), on });
  return (
    <div className={style.calendar}>
      <div className={style.head}>
        <Link to="/schedules/$id" params={{ id }} search={to(-1)} resetScroll={false}>
          {words.before}
        </Link>
        <h3 aria-live="polite">{title}</h3>
        <Link to="/schedules/$id" params={{ id }} search={to(1)} resetScroll={false}>
          {words.after}
        </Link>
      </div>
      <table className={style.month} aria-label={title}>
        <thead>
          <tr>
            {WEEKDAYS.map((day) => (
              <th key={day} scope="col">
                <abbr title={times.weekdays[day]}>{times.shortWeekdays[day]}</abbr>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {weeksOf(month).map((week) => (
            <tr key={week.find(Boolean)}>
              {WEEKDAYS.map((weekday, at) => {
                const day = week[at];
                return (
                  <td key={weekday}>
                    {day && <Day day={day} month={month} count={countOn(periods, day)} />}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
      <p className={style.quiet}>{words.calendarWords}</p>
    </div>
  );
}

function Day({ day, month, count }: { day: string; month: string; count: number }) {
  const { schedules } = useWords();
  const format = useFormat();
  const { on } = detail.useSearch();
  const { id } = detail.useParams();
  const isChosen = on === day;
  return (
    <Link
      to="/schedules/$id"
      params={{ id }}
      search={{ month, on: isChosen ? undefined : day }}
      resetScroll={false}
      className={style.day}
      aria-current={isChosen ? "date" : undefined}
      aria-label={schedules.keep.day(format.day(endOf(day)), count)}
      data-any={count > 0 || undefined}
    >
      <span className={style.date}>{Number(day.slice(8))}</span>
      <span className={style.count}>{count > 0 ? count : "–"}</span>
    </Link>
  );
}
