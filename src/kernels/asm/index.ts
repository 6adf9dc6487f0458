export { finish } from './activation';
export { conv2d, conv2dFilterGradient, conv2dInputGradient, convScratch } from './conv';
export { depthwiseFilterGradient, depthwiseInputGradient } from './depthwise';
export { gemm, gemmScratch } from './gemm';
export { avgPoolGradient, maxPoolGradient } from './pool';
export { segmentSum } from './segment';
