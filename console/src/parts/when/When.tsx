import { useFormat } from "../../words";
import { useNow } from "./now";

/** A time with its zone, and how far away it is for those who hover or listen; or the other way round. */
export function When({ at, short }: { at: string | Date; short?: boolean }) {
  const format = useFormat();
  const now = useNow();
  const date = typeof at === "string" ? new Date(at) : at;
  const moment = format.moment(date);
  const distance = format.distance(date, now);
  return (
    <time dateTime={date.toISOString()} title={short ? moment : distance}>
      {short ? distance : moment}
      <span className="unseen">, {short ? moment : distance}</span>
    </time>
  );
}
