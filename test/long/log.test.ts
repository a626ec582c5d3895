import { openLog, readSlice } from '#collect';
import { logContract } from '../collect/log.contract.ts';

logContract('in segments of lines, for long', { open: openLog, read: readSlice }, 20_000);
