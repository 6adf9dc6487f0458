import * as tf from '@tensorflow/tfjs-core';

/** A call of every kernel that the wasm backend has, small and right; a test looks that none is missing. */
export interface KernelCall {
  readonly inputs: object;
  readonly attrs?: object;
}
type Calls = Readonly<Record<string, () => KernelCall>>;

const floats = (...shape: number[]): tf.Tensor => {
  const data = Float32Array.from({ length: tf.util.sizeFromShape(shape) }, (_, i) => ((i * 7) % 11) / 12 + 0.05);
  return tf.tensor(data, shape);
};
const ints = (...values: number[]): tf.Tensor => tf.tensor1d(values, 'int32');
const bools = (): tf.Tensor => tf.tensor1d([1, 0, 1], 'bool');
const complex = (): tf.Tensor => tf.complex(floats(2, 4), floats(2, 4));
const each = (names: string, call: () => KernelCall): Calls =>
  Object.fromEntries(names.split(' ').map((name) => [name, call]));

const onOne = each(
  'Abs Acos Asin Asinh Atan Atanh Ceil Cos Cosh Elu Erf Exp Expm1 Floor IsFinite IsInf IsNan Log Log1p Neg OnesLike Reciprocal Relu Relu6 ' +
    'Round Rsqrt Selu Sigmoid Sign Sin Sinh Softplus Sqrt Square Step Tan Tanh ZerosLike Identity',
  () => ({ inputs: { x: floats(3, 4) }, attrs: { alpha: 0 } }),
);
const onTwo = each(
  'Add Atan2 Equal FloorDiv Greater GreaterEqual Less LessEqual Maximum Minimum Mod Multiply NotEqual Pow RealDiv SquaredDifference Sub',
  () => ({ inputs: { a: floats(3, 4), b: floats(4) } }),
);
const reductions = each('Max Mean Min Prod Sum', () => ({
  inputs: { x: floats(2, 3, 4) },
  attrs: { axis: [0, 2], reductionIndices: [0, 2], keepDims: false },
}));
const image = (): tf.Tensor => floats(1, 4, 4, 2);
const volume = (): tf.Tensor => floats(1, 4, 4, 4, 2);
const pooling = { filterSize: 2, strides: 2, pad: 'valid' };
const convolution = { strides: [1, 1], pad: 'same', dataFormat: 'NHWC', dilations: [1, 1], dimRoundingMode: undefined };
const deep = { strides: [1, 1, 1], pad: 'same', dataFormat: 'NDHWC', dilations: [1, 1, 1] };
const filter = (...outer: number[]): tf.Tensor => floats(...outer, 2, 3);
const sparse = (): object => ({ data: floats(3, 2), indices: ints(0, 2, 1), segmentIds: ints(0, 0, 1) });
const boxes = { iouThreshold: 0.5, maxOutputSize: 2, scoreThreshold: 0.1 };
const boxed = (): object => ({ boxes: floats(3, 4), scores: floats(3) });
const words = (): tf.Tensor => tf.tensor1d(['a b', 'c'], 'string');
const resized = { size: [3, 5], alignCorners: false, halfPixelCenters: false };

const shapes: Calls = {
  BatchToSpaceND: () => ({
    inputs: { x: floats(4, 1, 1, 1) },
    attrs: {
      blockShape: [2, 2],
      crops: [
        [0, 0],
        [0, 0],
      ],
    },
  }),
  SpaceToBatchND: () => ({
    inputs: { x: floats(1, 2, 2, 1) },
    attrs: {
      blockShape: [2, 2],
      paddings: [
        [0, 0],
        [0, 0],
      ],
    },
  }),
  BroadcastArgs: () => ({ inputs: { s0: ints(2, 1), s1: ints(3) } }),
  Cast: () => ({ inputs: { x: floats(3) }, attrs: { dtype: 'int32' } }),
  Concat: () => ({ inputs: [floats(2, 3), floats(2, 1)], attrs: { axis: 1 } }),
  Pack: () => ({ inputs: [floats(2, 3), floats(2, 3)], attrs: { axis: 1 } }),
  DepthToSpace: () => ({ inputs: { x: floats(1, 2, 2, 4) }, attrs: { blockSize: 2, dataFormat: 'NHWC' } }),
  Diag: () => ({ inputs: { x: floats(3) } }),
  ExpandDims: () => ({ inputs: { input: floats(3) }, attrs: { dim: 0 } }),
  Reshape: () => ({ inputs: { x: floats(2, 3) }, attrs: { shape: [3, 2] } }),
  Fill: () => ({ inputs: {}, attrs: { shape: [3], value: 2, dtype: 'float32' } }),
  LinSpace: () => ({ inputs: {}, attrs: { start: 0, stop: 1, num: 5 } }),
  Range: () => ({ inputs: {}, attrs: { start: 0, stop: 5, step: 1, dtype: 'float32' } }),
  FlipLeftRight: () => ({ inputs: { image: image() } }),
  MirrorPad: () => ({
    inputs: { x: floats(3, 3) },
    attrs: {
      paddings: [
        [1, 1],
        [0, 1],
      ],
      mode: 'reflect',
    },
  }),
  PadV2: () => ({
    inputs: { x: floats(3, 3) },
    attrs: {
      paddings: [
        [1, 1],
        [0, 1],
      ],
      constantValue: 2,
    },
  }),
  Reverse: () => ({ inputs: { x: floats(3, 2) }, attrs: { dims: [0] } }),
  Slice: () => ({ inputs: { x: floats(3, 3) }, attrs: { begin: [1, 0], size: [2, 2] } }),
  SplitV: () => ({ inputs: { x: floats(3, 4) }, attrs: { numOrSizeSplits: [1, 3], axis: 1 } }),
  Unpack: () => ({ inputs: { value: floats(3, 4) }, attrs: { axis: 1 } }),
  StridedSlice: () => ({
    inputs: { x: floats(3, 3) },
    attrs: {
      begin: [0, 0],
      end: [3, 3],
      strides: [2, 2],
      beginMask: 0,
      endMask: 0,
      ellipsisMask: 0,
      newAxisMask: 0,
      shrinkAxisMask: 0,
    },
  }),
  Tile: () => ({ inputs: { x: floats(2, 3) }, attrs: { reps: [2, 1] } }),
  Transpose: () => ({ inputs: { x: floats(2, 3, 4) }, attrs: { perm: [2, 0, 1] } }),
  GatherV2: () => ({ inputs: { x: floats(3, 4), indices: ints(0, 2) }, attrs: { axis: 0, batchDims: 0 } }),
  GatherNd: () => ({ inputs: { params: floats(3, 4), indices: tf.tensor2d([[0], [2]], [2, 1], 'int32') } }),
  ScatterNd: () => ({
    inputs: { indices: tf.tensor2d([[0], [2]], [2, 1], 'int32'), updates: floats(2) },
    attrs: { shape: [4] },
  }),
  TensorScatterUpdate: () => ({
    inputs: { tensor: floats(4), indices: tf.tensor2d([[0], [2]], [2, 1], 'int32'), updates: floats(2) },
    attrs: {},
  }),
  Unique: () => ({ inputs: { x: ints(1, 2, 1) }, attrs: { axis: 0 } }),
  OneHot: () => ({ inputs: { indices: ints(0, 2) }, attrs: { dtype: 'float32', depth: 3, onValue: 1, offValue: 0 } }),
};

const choices: Calls = {
  All: () => ({ inputs: { x: bools() }, attrs: { axis: [0], keepDims: false } }),
  Any: () => ({ inputs: { x: bools() }, attrs: { axis: [0], keepDims: false } }),
  LogicalAnd: () => ({ inputs: { a: bools(), b: bools() } }),
  LogicalOr: () => ({ inputs: { a: bools(), b: bools() } }),
  LogicalXor: () => ({ inputs: { a: bools(), b: bools() } }),
  LogicalNot: () => ({ inputs: { x: bools() } }),
  Select: () => ({ inputs: { condition: bools(), t: floats(3), e: floats(3) } }),
  ArgMax: () => ({ inputs: { x: floats(3, 4) }, attrs: { axis: 0 } }),
  ArgMin: () => ({ inputs: { x: floats(3, 4) }, attrs: { axis: 0 } }),
  TopK: () => ({ inputs: { x: floats(3, 4) }, attrs: { k: 2, sorted: true } }),
  SearchSorted: () => ({ inputs: { sortedSequence: floats(1, 4), values: floats(1, 2) }, attrs: { side: 'left' } }),
  Multinomial: () => ({ inputs: { logits: floats(2, 3) }, attrs: { numSamples: 2, seed: 1, normalized: false } }),
  NonMaxSuppressionV3: () => ({ inputs: boxed(), attrs: boxes }),
  NonMaxSuppressionV4: () => ({ inputs: boxed(), attrs: { ...boxes, padToMaxOutputSize: true } }),
  NonMaxSuppressionV5: () => ({ inputs: boxed(), attrs: { ...boxes, softNmsSigma: 0.5 } }),
};

const values: Calls = {
  Acosh: () => ({ inputs: { x: tf.tensor1d([1, 2, 3]) } }),
  AddN: () => ({ inputs: [floats(3), floats(3), floats(3)] }),
  BitwiseAnd: () => ({ inputs: { a: ints(1, 3), b: ints(2, 3) } }),
  Bincount: () => ({ inputs: { x: ints(0, 1, 1), weights: floats(3) }, attrs: { size: 3 } }),
  DenseBincount: () => ({ inputs: { x: ints(0, 1, 1), weights: floats(3) }, attrs: { size: 3, binaryOutput: false } }),
  ClipByValue: () => ({ inputs: { x: floats(3) }, attrs: { clipValueMin: 0.2, clipValueMax: 0.5 } }),
  Cumprod: () => ({ inputs: { x: floats(3, 2) }, attrs: { axis: 0, exclusive: false, reverse: false } }),
  Cumsum: () => ({ inputs: { x: floats(3, 2) }, attrs: { axis: 0, exclusive: false, reverse: false } }),
  EluGrad: () => ({ inputs: { dy: floats(3), y: floats(3) } }),
  LeakyRelu: () => ({ inputs: { x: floats(3) }, attrs: { alpha: 0.1 } }),
  Prelu: () => ({ inputs: { x: floats(2, 3), alpha: floats(3) } }),
  LRN: () => ({ inputs: { x: image() }, attrs: { depthRadius: 1, bias: 1, alpha: 1, beta: 0.5 } }),
  LRNGrad: () => ({
    inputs: { x: image(), y: image(), dy: image() },
    attrs: { depthRadius: 1, bias: 1, alpha: 1, beta: 0.5 },
  }),
  FusedBatchNorm: () => ({
    inputs: { x: image(), mean: floats(2), variance: floats(2), offset: floats(2), scale: floats(2) },
    attrs: { varianceEpsilon: 1e-3 },
  }),
  BatchMatMul: () => ({
    inputs: { a: floats(2, 3, 4), b: floats(2, 4, 5) },
    attrs: { transposeA: false, transposeB: false },
  }),
  _FusedMatMul: () => ({
    inputs: { a: floats(1, 3, 4), b: floats(1, 4, 5), bias: floats(3, 1), preluActivationWeights: floats(3, 5) },
    attrs: { transposeA: false, transposeB: false, activation: 'prelu' },
  }),
  Einsum: () => ({ inputs: [floats(2, 3), floats(3, 4)], attrs: { equation: 'ij,jk->ik' } }),
  Softmax: () => ({ inputs: { logits: floats(3, 4) }, attrs: { dim: 1 } }),
  LogSoftmax: () => ({ inputs: { logits: floats(3, 4) }, attrs: { axis: 1 } }),
  ...each('SoftmaxGrad LogSoftmaxGrad', () => ({ inputs: { dy: floats(3, 4), y: floats(3, 4) } })),
  Gelu: () => ({ inputs: { x: floats(3, 4), bias: floats(4) }, attrs: { exact: true, slopes: true } }),
  ReluGrad: () => ({ inputs: { dy: floats(3, 4), x: floats(3, 4) } }),
  ...each('GeluGrad BiasedGeluGrad', () => ({ inputs: { dy: floats(3, 4), slopes: floats(3, 4) } })),
  LayerNorm: () => ({
    inputs: { x: floats(3, 4), gamma: floats(4), beta: floats(4) },
    attrs: { epsilon: 1e-5, keeps: true },
  }),
  LayerNormGrad: () => ({
    inputs: { dy: floats(3, 9000), x: floats(3, 9000), gamma: floats(9000), kept: floats(3, 4) },
  }),
  Attention: () => ({
    inputs: { q: floats(1, 2, 3, 4), k: floats(1, 2, 3, 4), v: floats(1, 2, 3, 5) },
    attrs: { scale: 0.5, causal: true },
  }),
  AttentionGrad: () => ({
    inputs: {
      dy: floats(1, 2, 3, 5),
      q: floats(1, 2, 3, 4),
      k: floats(1, 2, 3, 4),
      v: floats(1, 2, 3, 5),
      weights: floats(1, 2, 3, 3),
    },
    attrs: { scale: 0.5, causal: true },
  }),
  SelfAttention: () => ({ inputs: { x: floats(6, 12) }, attrs: { texts: 2, heads: 2, scale: 0.5, causal: true } }),
  SelfAttentionGrad: () => ({
    inputs: { dy: floats(6, 4), x: floats(6, 12), weights: floats(2, 2, 3, 3) },
    attrs: { texts: 2, heads: 2, scale: 0.5, causal: true },
  }),
  Lstm: () => ({
    inputs: { sums: floats(2, 3, 20), recurrent: floats(5, 20), h0: floats(2, 5), c0: floats(2, 5) },
    attrs: { hard: false },
  }),
  LstmGrad: () => ({
    inputs: {
      ...{ dh: floats(2, 3, 5), dc: floats(2, 3, 5), recurrent: floats(5, 20), h0: floats(2, 5), c0: floats(2, 5) },
      ...{ h: floats(2, 3, 5), c: floats(2, 3, 5), gates: floats(2, 3, 20) },
    },
    attrs: { hard: false },
  }),
  FusedAdamStep: () => ({
    inputs: { w: floats(9), g: floats(9), m: floats(9), v: floats(9) },
    attrs: { beta1: 0.9, beta2: 0.999, rate: 0.1, scale: 1.1, epsilon: 1e-7, keep: 1, factor: 1 },
  }),
  UnsortedSegmentSum: () => ({ inputs: { x: floats(3, 2), segmentIds: ints(0, 1, 0) }, attrs: { numSegments: 2 } }),
  SparseSegmentMean: () => ({ inputs: sparse() }),
  SparseSegmentSum: () => ({ inputs: sparse() }),
  SparseFillEmptyRows: () => ({
    inputs: {
      indices: tf.tensor2d(
        [
          [0, 1],
          [2, 0],
        ],
        [2, 2],
        'int32',
      ),
      values: floats(2),
      denseShape: ints(3, 2),
      defaultValue: tf.scalar(1),
    },
  }),
  SparseReshape: () => ({
    inputs: {
      inputIndices: tf.tensor2d(
        [
          [0, 1],
          [2, 0],
        ],
        [2, 2],
        'int32',
      ),
      inputShape: ints(3, 2),
      newShape: ints(2, 3),
    },
  }),
  SparseToDense: () => ({
    inputs: {
      sparseIndices: tf.tensor2d([[0], [2]], [2, 1], 'int32'),
      sparseValues: floats(2),
      defaultValue: tf.scalar(0),
    },
    attrs: { outputShape: [4] },
  }),
};

const images: Calls = {
  AvgPool: () => ({ inputs: { x: image() }, attrs: pooling }),
  MaxPool: () => ({ inputs: { x: image() }, attrs: pooling }),
  MaxPoolWithArgmax: () => ({ inputs: { x: image() }, attrs: { ...pooling, includeBatchInIndex: false } }),
  AvgPoolGrad: () => ({ inputs: { dy: floats(1, 2, 2, 2), input: image() }, attrs: pooling }),
  MaxPoolGrad: () => ({
    inputs: { dy: floats(1, 2, 2, 2), input: image(), output: floats(1, 2, 2, 2) },
    attrs: pooling,
  }),
  ...each('AvgPool3D MaxPool3D', () => ({ inputs: { x: volume() }, attrs: { ...pooling, dataFormat: 'NDHWC' } })),
  ...each('AvgPool3DGrad MaxPool3DGrad', () => ({
    inputs: { dy: floats(1, 2, 2, 2, 2), input: volume(), output: floats(1, 2, 2, 2, 2) },
    attrs: pooling,
  })),
  Conv2D: () => ({ inputs: { x: image(), filter: filter(2, 2) }, attrs: convolution }),
  FusedConv2D: () => ({
    inputs: { x: image(), filter: filter(2, 2), bias: floats(3), preluActivationWeights: floats(4, 4, 3) },
    attrs: { ...convolution, activation: 'prelu' },
  }),
  Conv2DBackpropFilter: () => ({
    inputs: { x: image(), dy: floats(1, 4, 4, 3) },
    attrs: { ...convolution, filterShape: [2, 2, 2, 3] },
  }),
  Conv2DBackpropInput: () => ({
    inputs: { dy: floats(1, 4, 4, 3), filter: filter(2, 2) },
    attrs: { ...convolution, inputShape: [1, 4, 4, 2] },
  }),
  DepthwiseConv2dNative: () => ({ inputs: { x: image(), filter: filter(2, 2) }, attrs: convolution }),
  FusedDepthwiseConv2D: () => ({
    inputs: { x: image(), filter: filter(2, 2), bias: floats(6) },
    attrs: { ...convolution, activation: 'relu' },
  }),
  DepthwiseConv2dNativeBackpropFilter: () => ({
    inputs: { x: image(), dy: floats(1, 4, 4, 6) },
    attrs: { ...convolution, filterShape: [2, 2, 2, 3] },
  }),
  DepthwiseConv2dNativeBackpropInput: () => ({
    inputs: { dy: floats(1, 4, 4, 6), filter: filter(2, 2) },
    attrs: { ...convolution, inputShape: [1, 4, 4, 2] },
  }),
  Conv3D: () => ({ inputs: { x: volume(), filter: filter(2, 2, 2) }, attrs: deep }),
  Conv3DBackpropFilterV2: () => ({
    inputs: { x: volume(), dy: floats(1, 4, 4, 4, 3) },
    attrs: { ...deep, filterShape: [2, 2, 2, 2, 3] },
  }),
  Conv3DBackpropInputV2: () => ({
    inputs: { dy: floats(1, 4, 4, 4, 3), filter: filter(2, 2, 2) },
    attrs: { ...deep, inputShape: [1, 4, 4, 4, 2] },
  }),
  ...each('Dilation2D', () => ({
    inputs: { x: image(), filter: floats(2, 2, 2) },
    attrs: { strides: 1, pad: 'same', dilations: 1 },
  })),
  ...each('Dilation2DBackpropFilter Dilation2DBackpropInput', () => ({
    inputs: { x: image(), filter: floats(2, 2, 2), dy: image() },
    attrs: { strides: 1, pad: 'same', dilations: 1 },
  })),
  CropAndResize: () => ({
    inputs: { image: image(), boxes: floats(1, 4), boxInd: ints(0) },
    attrs: { cropSize: [2, 2], method: 'bilinear', extrapolationValue: 0 },
  }),
  ...each('ResizeBilinear ResizeNearestNeighbor', () => ({ inputs: { images: image() }, attrs: resized })),
  ...each('ResizeBilinearGrad ResizeNearestNeighborGrad', () => ({
    inputs: { images: image(), dy: floats(1, 3, 5, 2) },
    attrs: resized,
  })),
  RotateWithOffset: () => ({ inputs: { image: image() }, attrs: { radians: 0.5, fillValue: 0, center: 0.5 } }),
  Transform: () => ({
    inputs: { image: image(), transforms: floats(1, 8) },
    attrs: { interpolation: 'nearest', fillMode: 'constant', fillValue: 0, outputShape: [3, 3] },
  }),
};

const others: Calls = {
  Complex: () => ({ inputs: { real: floats(2, 4), imag: floats(2, 4) } }),
  ComplexAbs: () => ({ inputs: { x: complex() } }),
  ...each('Real Imag FFT IFFT', () => ({ inputs: { input: complex() } })),
  RaggedGather: () => ({
    inputs: { paramsNestedSplits: [ints(0, 2, 5)], paramsDenseValues: floats(5), indices: ints(1, 0) },
    attrs: { outputRaggedRank: 1 },
  }),
  RaggedRange: () => ({ inputs: { starts: ints(0, 1), limits: ints(3, 4), deltas: ints(1, 2) } }),
  RaggedTensorToTensor: () => ({
    inputs: {
      shape: ints(3, 4),
      values: floats(5),
      defaultValue: tf.scalar(1.5),
      rowPartitionTensors: [ints(0, 2, 2, 5)],
    },
    attrs: { rowPartitionTypes: ['ROW_SPLITS'] },
  }),
  StaticRegexReplace: () => ({ inputs: { x: words() }, attrs: { pattern: 'a', rewrite: 'b', replaceGlobal: true } }),
  StringNGrams: () => ({
    inputs: { data: words(), dataSplits: ints(0, 2) },
    attrs: { separator: '|', nGramWidths: [2], leftPad: '', rightPad: '', padWidth: 0, preserveShortSequences: false },
  }),
  StringSplit: () => ({ inputs: { input: words(), delimiter: tf.scalar(' ', 'string') }, attrs: { skipEmpty: true } }),
  StringToHashBucketFast: () => ({ inputs: { input: words() }, attrs: { numBuckets: 7 } }),
};

export const everyKernel: Calls = {
  ...onOne,
  ...onTwo,
  ...reductions,
  ...shapes,
  ...choices,
  ...values,
  ...images,
  ...others,
};
