/* SPDX-License-Identifier: GPL-2.0 */
/* What greeter exports. */
struct greeter_card {
	int width;
	int height;
	int depth;
};

int greeter_add(long left, int right);
int greeter_sub(int from, int what);
int greeter_area(const struct greeter_card *box);
