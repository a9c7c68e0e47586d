/* SPDX-License-Identifier: GPL-2.0 */
/* What giver exports. */
struct giver_box {
	int width;
	int height;
	int depth;
};

int giver_add(long left, int right);
int giver_sub(int from, int what);
int giver_area(const struct giver_box *box);
