export { gemm, gemmScratch } from './gemm';
export { finish } from './activation';
