/** Days on which a week may begin (`week_start`), from the one on which DuckDB's weeks do. */
export const weekdays = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'] as const;
export type Weekday = (typeof weekdays)[number];

/** SQL: the first day, a DATE, of the day, week or month in which a DATE or TIMESTAMP lies. Weeks lie a multiple of seven days apart, as `date_diff` counts them. */
export function periodSql(grain: string, value: string, weekStart: Weekday): string {
  const late = weekdays.indexOf(weekStart);
  return grain === 'week' && late > 0
    ? `CAST(date_trunc('week', ${value} - INTERVAL ${late} DAY) + INTERVAL ${late} DAY AS DATE)`
    : `CAST(date_trunc('${grain}', ${value}) AS DATE)`;
}
