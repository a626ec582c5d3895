import { openStore } from '#store';
import { opening } from './fixture.ts';
import { storeContract } from './store.contract.ts';

storeContract('DuckDB', (dataPath) => openStore(opening(dataPath)));
