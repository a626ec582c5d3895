export { type Delivering, startDelivery } from './deliver.ts';
