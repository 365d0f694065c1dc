"""SampleAttention on NumPy arrays: random heads of 4,096 tokens, of which every 64th key lies in the direction of all queries.

    make library && pip install numpy ./Sources/Python
    SAMPLE_ATTENTION_LIBRARY=out/library/libsampleattention.so python Examples/python/attend.py
"""

import numpy as np

import sample_attention

random = np.random.default_rng(1)
query, key, value = (random.standard_normal((1, heads, 4096, 64), np.float32) for heads in (8, 2, 2))
query += 1
key[:, :, ::64] += 1

config = sample_attention.Config(alpha=0.95)
sparse, _, kept = sample_attention.attend(query, key, value, config, certify={})
dense, _, whole = sample_attention.attend(query, key, value)

error = np.linalg.norm(sparse - dense) / np.linalg.norm(dense)
certified = min(certificate["mean_lower_bound"] for certificate in kept.certificates)
print(f"kept {kept.density:.3f} of the pairs, and with them at least {certified:.3f} of every head's attention")
print(f"relative error {error:.4f}; kernel {kept.kernel_seconds:.4f} s, dense {whole.kernel_seconds:.4f} s")
assert whole.density == 1 and kept.density < 0.9 and error < 0.3 and certified > 0.8
