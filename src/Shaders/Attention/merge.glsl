// How much partials count that are relative to the maximum `before` and to `now`, relative to the larger of the two. Then l and o of both become
// fma(now's, share.y, before's * share.x), precise: a call that merges in place and one that merges what another left give the same bits.
vec2 shares(float before, float now) {
    float both = max(before, now);
    return vec2(before == both ? 1 : exp(before - both), now == both ? 1 : exp(now - both));
}
