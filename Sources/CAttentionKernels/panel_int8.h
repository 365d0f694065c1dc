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

/* most[vector] becomes the largest of itself and the products of `keys` keys, a constant after inlining. */
INLINE void int8_largest(int keys, int steps, const int32_t *k, const int32_t *queries, vint most[SA_PANEL_VECTORS]) {
    vint sum[INT8_PANEL_KEYS][SA_PANEL_VECTORS];
    int8_products(keys, steps, k, queries, sum);
    UNROLLED for (int r = 0; r < keys; r++)
        UNROLLED for (int j = 0; j < SA_PANEL_VECTORS; j++) most[j] = __builtin_elementwise_max(most[j], sum[r][j]);
}

/* The maxima of the `count` keys of one group for a panel of lanes: of whole numbers among keys with a scale in common. */
INLINE void int8_group(
    int count, int steps, const int32_t *k, const float *key_scales, const int32_t *queries, const float *query_scales, float *out) {
    vfloat most[SA_PANEL_VECTORS];
    UNROLLED for (int j = 0; j < SA_PANEL_VECTORS; j++) most[j] = splat(-__builtin_inff());
    for (int first = 0; first < count; first += SA_INT8_SCALE_KEYS) {
        int end = first + SA_INT8_SCALE_KEYS < count ? first + SA_INT8_SCALE_KEYS : count;
        vint largest[SA_PANEL_VECTORS];
        UNROLLED for (int j = 0; j < SA_PANEL_VECTORS; j++) largest[j] = (vint)splat(0) + INT32_MIN;
        for (int key = first; key < end; key += INT8_PANEL_KEYS) {
#define INT8_LARGEST(keys) int8_largest(keys, steps, k + (ptrdiff_t)key * steps, queries, largest)
            FOR_UP_TO_FOUR(end - key, INT8_LARGEST)
#undef INT8_LARGEST
        }
        UNROLLED for (int j = 0; j < SA_PANEL_VECTORS; j++)
            most[j] = larger_score(key_scales[first / SA_INT8_SCALE_KEYS], largest[j], most[j]);
    }
    UNROLLED for (int j = 0; j < SA_PANEL_VECTORS; j++) store(out + j * WIDTH, load(query_scales + j * WIDTH) * most[j]);
}

/* The scores of `keys` keys, a constant after inlining, with one scale for a panel of lanes. */
INLINE void int8_each(
    int keys, int steps, const int32_t *k, float key_scale, const int32_t *queries, const float *query_scales, float *out) {
    vint sum[INT8_PANEL_KEYS][SA_PANEL_VECTORS];
    int8_products(keys, steps, k, queries, sum);
    UNROLLED for (int r = 0; r < keys; r++)
        UNROLLED for (int j = 0; j < SA_PANEL_VECTORS; j++) {
            vfloat score = larger_score(key_scale, sum[r][j], splat(-__builtin_inff()));
            store(out + r * SA_LANES + j * WIDTH, load(query_scales + j * WIDTH) * score);
        }
}

_Static_assert(SA_INT8_SCALE_KEYS % INT8_PANEL_KEYS == 0, "keys of a panel have one scale");

static void SA_NAME(int8_maxima)(
    const void *queries, const float *query_scales, const void *keys, const float *key_scales, int count, int dimension, int group,
    float *out) {
    int steps = int8_steps(dimension), together = group == 1 ? INT8_PANEL_KEYS : group;
    for (int first = 0; first < count; first += together) {
        int own = count - first < together ? count - first : together;
        const int32_t *k = (const int32_t *)keys + (ptrdiff_t)first * steps;
        const float *scales = key_scales + first / SA_INT8_SCALE_KEYS;
        for (int lane = 0; lane < SA_LANES; lane += PANEL_LANES) {
            const int32_t *q = (const int32_t *)queries + lane;
            float *to = out + (ptrdiff_t)(first / group) * SA_LANES + lane;
#define INT8_EACH(keys) int8_each(keys, steps, k, *scales, q, query_scales + lane, to)
            if (group > 1) int8_group(own, steps, k, scales, q, query_scales + lane, to);
            else FOR_UP_TO_FOUR(own, INT8_EACH)
#undef INT8_EACH
        }
    }
}
