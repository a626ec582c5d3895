/**
 * Reports of app stores as they are downloaded, month by month: Google Play Console's (support.google.com/googleplay/android-developer,
 * "Download and export monthly reports"): UTF-16 CSV, some in zip, the app's id and the month only in the name.
 */
import { watchedSources } from '#core';
import { changedOption, openFolder } from '../files/folder.ts';
import type { Source } from '../source.ts';

const NAME = /^(?<report>[a-z]+)_(?:(?<app>[a-z]\w*(?:\.\w+)+)_)?(?<month>20\d{2}(?:0[1-9]|1[0-2]))(?:_(?<rest>[\w-]+))?\.(?:csv|zip)$/i;

export const storeReports: Source = {
  name: 'store_reports',
  title: 'Store reports',
  summary:
    'Monthly reports of the Google Play Console in a folder: a table for each kind of report, with the app and the month of the name.',
  options: [
    { name: 'path', type: 'text', summary: 'The folder, relative to the workspace.', required: true },
    { name: 'pattern', type: 'text', summary: 'Which files: * and ** as in a shell.', default: watchedSources.store_reports.pattern },
    {
      name: 'settle',
      type: 'integer',
      summary: 'Seconds for which a file must have stayed as it is.',
      default: watchedSources.store_reports.settle,
    },
    changedOption,
  ],
  async open(connection, place) {
    return openFolder(
      {
        path: String(connection['path']),
        pattern: String(connection['pattern']),
        settle: Number(connection['settle']) * 1000,
        kind: 'csv',
        options: {},
        replaces: connection['changed'] === 'replace',
        belongs: reportOf,
      },
      place,
    );
  },
  guess: () => null,
};

/** installs_com.example.app_202401_overview.csv is the table installs_overview; salesreport_202401.zip is salesreport. */
export function reportOf(name: string): { table: string; constants: { name: string; type: string; value: string | null }[] } | null {
  const { report, app, month, rest } = NAME.exec(name)?.groups ?? {};
  if (report === undefined || month === undefined) return null;
  // A number at the end is of the download, not of the kind of report.
  const dimension = rest === undefined || /^[\d-]+$/.test(rest) ? '' : `_${rest}`;
  return {
    table: `${report}${dimension}`.toLowerCase(),
    constants: [
      { name: 'report_app', type: 'VARCHAR', value: app ?? null },
      { name: 'report_month', type: 'DATE', value: `${month.slice(0, 4)}-${month.slice(4)}-01` },
    ],
  };
}
