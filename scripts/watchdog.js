// Loaded into every test file's process: one that does not end is ended, and says what keeps it. (--test-timeout stops a test, not its process.)
const limit = Number(process.env.MILLRACE_TEST_SECONDS);

if (process.env.NODE_TEST_CONTEXT && limit > 0) {
  setTimeout(() => {
    process.stderr.write(`Not ended after ${limit} s; open: ${process.getActiveResourcesInfo().join(', ')}\n`);
    process.exit(1);
  }, limit * 1000).unref();
}
