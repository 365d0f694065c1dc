/* Sums of products of 32 rows and 32 columns in four tile registers, in BF16 or INT8: what scores, values, weights and INT8 scores share. */

#define TILE_ROWS 16

/* Sums of 32 rows by 32 columns, the upper 16 rows only if `is_half`, in the tiles 0 to 3. */
INLINE void load_sums(const float *from, ptrdiff_t stride, int is_half) {
    TILE_LOAD(0, from, stride);
    TILE_LOAD(1, from + TILE_ROWS, stride);
    if (is_half) return;
    TILE_LOAD(2, from + TILE_ROWS * stride, stride);
    TILE_LOAD(3, from + TILE_ROWS * stride + TILE_ROWS, stride);
}

INLINE void store_sums(float *to, ptrdiff_t stride, int is_half) {
    TILE_STORE(0, to, stride);
    TILE_STORE(1, to + TILE_ROWS, stride);
    if (is_half) return;
    TILE_STORE(2, to + TILE_ROWS * stride, stride);
    TILE_STORE(3, to + TILE_ROWS * stride + TILE_ROWS, stride);
}

/* Products of whole numbers in eight bits or of BF16; `is_int8` is a constant after inlining. */
#define TILE_PRODUCTS(is_int8, sum, a, b)                                                                                  \
    do {                                                                                                                   \
        if (is_int8) TILE_MULTIPLY_INT8(sum, a, b);                                                                        \
        else TILE_MULTIPLY(sum, a, b);                                                                                     \
    } while (0)

/* Adds to the sums the products of 16 steps: left [row][step], right [step][lane]. */
INLINE void add_products(int is_int8, const float *left, ptrdiff_t stride, const float *right, int is_half) {
    TILE_LOAD(4, left, stride);
    TILE_LOAD(6, right, SA_LANES);
    TILE_PRODUCTS(is_int8, 0, 4, 6);
    TILE_LOAD(7, right + TILE_ROWS, SA_LANES);
    TILE_PRODUCTS(is_int8, 1, 4, 7);
    if (is_half) return;
    TILE_LOAD(5, left + TILE_ROWS * stride, stride);
    TILE_PRODUCTS(is_int8, 2, 5, 6);
    TILE_PRODUCTS(is_int8, 3, 5, 7);
}
