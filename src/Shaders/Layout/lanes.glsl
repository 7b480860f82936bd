// Lanes of a subgroup, from 4 to 32: set when a pipeline is made.
layout(constant_id = 0) const int LANES = 32;
