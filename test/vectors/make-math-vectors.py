"""Writes math.json: arguments and correctly rounded results of elementary functions, as 16 hex digits of IEEE 754 doubles.

Needs mpmath 1.3 (arbitrary precision, independent of the code under test): python3 make-math-vectors.py > math.json
"""
import json
import random
import struct

import mpmath

mpmath.mp.prec = 2_400  # sin and cos of the largest double lose 1024 bits
rng = random.Random(20261126)


def bits(x):
    return struct.pack('>d', x).hex()


def spread(low, high):
    """A number of either sign whose exponent is uniform in [low, high)."""
    return rng.choice((-1, 1)) * rng.uniform(1, 2) * 2.0 ** rng.randint(low, high - 1)


def rounded(function, *args):
    try:
        value = function(*(mpmath.mpf(arg) for arg in args))
    except (OverflowError, ValueError):
        return None
    if isinstance(value, mpmath.mpc):
        return None
    # Once, to the nearest double with as many digits as it has.
    if value == 0:
        return 0.0
    exponent = int(mpmath.floor(mpmath.log(abs(value), 2)))
    unit = mpmath.mpf(2) ** max(exponent - 52, -1074)
    scaled = value / unit
    nearest = mpmath.nint(scaled)
    number = nearest * unit
    return float(number) if abs(number) <= mpmath.mpf(1.7976931348623157e308) else float('inf') * (1 if value > 0 else -1)


def table(function, arguments):
    rows = []
    for args in arguments:
        value = rounded(function, *args)
        if value is not None:
            rows.append([*map(bits, args), bits(value)])
    return rows


one = lambda values: [(value,) for value in values]
hard = [2.0**k for k in range(-60, 61, 7)] + [0.5, 1.0, 1.5, 3.0, 10.0, 0.7853981633974483, 1.5707963267948966, 3.141592653589793]
angles = hard + [spread(-30, 20) for _ in range(120)] + [spread(20, 1023) for _ in range(60)]
# The double nearest to a multiple of pi / 2, and neighbours of small multiples.
angles += [6381956970095103.0 * 2.0**797] + [float(k * mpmath.pi / 2) for k in (1, 2, 3, 5, 100, 1_000_003, 2**40 + 1)]
exponents = [rng.uniform(-745, 709.7) for _ in range(120)] + [spread(-60, 3) for _ in range(60)] + [709.782712893384, -745.13, -708.5, -740.0]
positive = [abs(spread(-1022, 1023)) for _ in range(120)] + [1 + spread(-52, -1) for _ in range(60)] + [5e-324, 1e-310, 2.2250738585072014e-308]
powers = [(abs(spread(-4, 4)), rng.uniform(-30, 30)) for _ in range(150)]
powers += [(abs(spread(-300, 300)), rng.uniform(-4, 4)) for _ in range(60)] + [(1 + spread(-40, -20), spread(20, 45)) for _ in range(60)]
powers += [(-abs(spread(-4, 4)), float(rng.randint(-40, 40))) for _ in range(40)] + [(2.0, -1073.5), (10.0, 308.0), (10.0, -323.0), (5e-324, 0.25)]
print(
    json.dumps(
        {
            'exp': table(mpmath.exp, one(exponents)),
            'log': table(mpmath.log, one(positive)),
            'tanh': table(mpmath.tanh, one([spread(-40, 5) for _ in range(150)] + [21.9, -21.9, 1.0, -1.0, 0.3, 1e-300])),
            'sin': table(mpmath.sin, one(angles)),
            'cos': table(mpmath.cos, one(angles)),
            'pow': table(mpmath.power, powers),
        },
        separators=(',', ':'),
    ).replace('],[', '],\n[')
)
