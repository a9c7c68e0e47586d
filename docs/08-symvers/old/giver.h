/* SPDX-License-Identifier: GPL-2.0 */
/* What giver exports. */
struct giver_box {
	int width;
	int height;
};

int giver_add(int left, int right);
int giver_sub(int left, int right);
int giver_area(const struct giver_box *box);
