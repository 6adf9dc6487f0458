import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/** The three core folders: pure functions, no clock, disk, network, randomness or console. */
const core = ['src/market/**/*.ts', 'src/learning/**/*.ts', 'src/protocol/**/*.ts'];

/** Of what two parties work out alike: nothing whose bits differ between engines. */
const sameBits = {
  'no-restricted-properties': [
    'error',
    ...[
      'random',
      'exp',
      'log',
      'log2',
      'log10',
      'log1p',
      'expm1',
      'pow',
      'sin',
      'cos',
      'tan',
      'tanh',
      'sinh',
      'cosh',
      'asin',
      'acos',
      'atan',
      'atan2',
      'asinh',
      'acosh',
      'atanh',
      'cbrt',
      'hypot',
    ].map((property) => ({
      object: 'Math',
      property,
      message:
        'Its bits differ between engines: two parties would disagree. learning/math.ts has exp, log, pow, sin, cos and tanh.',
    })),
  ],
  'no-restricted-syntax': [
    'error',
    {
      selector: "BinaryExpression[operator='**'][left.type!='Literal']",
      message: 'Math.pow differs between V8 versions.',
    },
  ],
};

export default tseslint.config(
  { ignores: ['dist', 'node_modules', 'coverage'] },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: { allowDefaultProject: ['*.js', 'bin/*.js', 'bench/*.mjs', 'examples/*.js'] } },
    },
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true, allow: ['bigint'] },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'no-console': 'error',
    },
  },
  {
    files: core,
    rules: {
      'no-restricted-globals': [
        'error',
        'Date',
        'fetch',
        'setTimeout',
        'setInterval',
        'process',
        'performance',
        'crypto',
      ],
      ...sameBits,
    },
  },
  { files: ['src/kernels/**/*.ts'], rules: sameBits },
  {
    // AssemblyScript: the syntax of TypeScript with types of its own, which asc checks.
    files: ['src/kernels/asm/*.ts'],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: { parserOptions: { projectService: false } },
  },
  {
    files: ['**/*.js', '**/*.mjs'],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly' } },
  },
  {
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      'no-console': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
);
