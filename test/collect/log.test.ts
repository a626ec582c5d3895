import { openLog, readSlice } from '#collect';
import { logContract } from './log.contract.ts';

logContract('in segments of lines', { open: openLog, read: readSlice }, 600);
