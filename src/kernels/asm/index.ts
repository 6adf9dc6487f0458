export { adam } from './adam';
export { finish } from './activation';
export { conv2d, conv2dFilterGradient, conv2dInputGradient, convScratch } from './conv';
export { depthwiseFilterGradient, depthwiseInputGradient } from './depthwise';
export { gemm, gemmScratch } from './gemm';
export { avgPoolGradient, maxPoolGradient } from './pool';
export { sum } from './reduce';
export { segmentSum } from './segment';
export { softmax, unary } from './unary';
