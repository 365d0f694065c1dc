/* Products of queries and keys in INT8 by panels of vector registers: keys are broadcast, lanes stand across the vector. Part of
 * int8_kernels.h. */

/* Keys that share the loads of the queries; their sums are as many as hide an instruction's latency. */
#define INT8_PANEL_KEYS 4

/* sum + the products of one step. */
INLINE vint multiply_add_int8(vint key, vint queries, vint sum) {
#if SA_HAS_INT8_PRODUCTS
    return (vint)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)key, (__m512i)queries);
#elif SA_VECTOR_BYTES == 64
    return sum + (vint)_mm512_madd_epi16((__m512i)key, (__m512i)queries);
#else
    return sum + (vint)_mm256_madd_epi16((__m256i)key, (__m256i)queries);
#endif
}

/* sum[key][vector] = query . key for a panel of lanes. `keys` is a constant after inlining. */
INLINE void int8_products(
    int keys, int steps, const int32_t *k, const int32_t *queries, vint sum[INT8_PANEL_KEYS][SA_PANEL_VECTORS]) {
    UNROLLED for (int j = 0; j < SA_PANEL_VECTORS; j++) {
        vint start = INT8_START_ROWS ? load_whole(queries + j * WIDTH) : (vint)splat(0);
        UNROLLED for (int r = 0; r < keys; r++) sum[r][j] = start;
    }
    queries += INT8_START_ROWS * SA_LANES;
    for (int step = 0; step < steps; step++, queries += SA_LANES) {
        vint lanes[SA_PANEL_VECTORS];
        UNROLLED for (int j = 0; j < SA_PANEL_VECTORS; j++) lanes[j] = load_whole(queries + j * WIDTH);
        UNROLLED for (int r = 0; r < keys; r++) {
            vint key = splat_whole(k[(ptrdiff_t)r * steps + step]);
            UNROLLED for (int j = 0; j < SA_PANEL_VECTORS; j++) sum[r][j] = multiply_add_int8(key, lanes[j], sum[r][j]);
        }
    }
}

/* most[key][vector], or most[0][vector] of all keys if `is_one`, becomes the largest of itself and the scores before the query's scale. */
INLINE void int8_scores(
    int keys, int is_one, int steps, const int32_t *k, const float *key_scales, const int32_t *queries,
    vfloat most[INT8_PANEL_KEYS][SA_PANEL_VECTORS]) {
    vint sum[INT8_PANEL_KEYS][SA_PANEL_VECTORS];
    int8_products(keys, steps, k, queries, sum);
    UNROLLED for (int r = 0; r < keys; r++)
        UNROLLED for (int j = 0; j < SA_PANEL_VECTORS; j++) {
            int own = is_one ? 0 : r;
            most[own][j] = larger_score(key_scales[r] * __builtin_convertvector(sum[r][j], vfloat), most[own][j]);
        }
}

/* The maxima of the `keys` keys of one group, or the scores of up to INT8_PANEL_KEYS keys, for a panel of lanes. */
INLINE void int8_group(
    int is_one, int keys, int steps, const int32_t *k, const float *key_scales, const int32_t *queries, const float *query_scales,
    float *out) {
    vfloat most[INT8_PANEL_KEYS][SA_PANEL_VECTORS];
    UNROLLED for (int r = 0; r < INT8_PANEL_KEYS; r++)
        UNROLLED for (int j = 0; j < SA_PANEL_VECTORS; j++) most[r][j] = splat(-__builtin_inff());
    for (int key = 0; key < keys; key += INT8_PANEL_KEYS) {
#define INT8_SCORES(count) int8_scores(count, is_one, steps, k + (ptrdiff_t)key * steps, key_scales + key, queries, most)
        FOR_UP_TO_FOUR(keys - key, INT8_SCORES)
#undef INT8_SCORES
    }
    UNROLLED for (int r = 0; r < INT8_PANEL_KEYS; r++)
        UNROLLED for (int j = 0; j < SA_PANEL_VECTORS; j++)
            if (r < (is_one ? 1 : keys)) store(out + r * SA_LANES + j * WIDTH, load(query_scales + j * WIDTH) * most[r][j]);
}

static void SA_NAME(int8_maxima)(
    const void *queries, const float *query_scales, const void *keys, const float *key_scales, int count, int dimension, int group,
    float *out) {
    int steps = int8_steps(dimension), together = group == 1 ? INT8_PANEL_KEYS : group;
    for (int first = 0; first < count; first += together) {
        int own = count - first < together ? count - first : together;
        const int32_t *k = (const int32_t *)keys + (ptrdiff_t)first * steps;
        for (int lane = 0; lane < SA_LANES; lane += PANEL_LANES) {
            const int32_t *q = (const int32_t *)queries + lane;
            float *to = out + (ptrdiff_t)(first / group) * SA_LANES + lane;
            if (group == 1) int8_group(0, own, steps, k, key_scales + first, q, query_scales + lane, to);
            else int8_group(1, own, steps, k, key_scales + first, q, query_scales + lane, to);
        }
    }
}
