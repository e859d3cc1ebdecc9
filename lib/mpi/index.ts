export type { Communicator, Expected, Numbers, ReduceOperation } from '../base/communicator';
export { CgfacError, type CgfacErrorCode } from '../base/errors';
export type { MpiCommunicator, MpiLibrary } from './communicator';
export { type ConnectOptions, connectMpi } from './connect';
