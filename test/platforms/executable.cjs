// Before the tests of a run whose Node is a program under another one, an emulator: what tests start by
// process.execPath is started under it, too.
process.execPath = process.env.CGFAC_TEST_NODE;
