/* SPDX-License-Identifier: GPL-2.0 */
/* What greeter exports. */
struct greeter_card {
	int width;
	int height;
};

int greeter_add(int left, int right);
int greeter_sub(int left, int right);
int greeter_area(const struct greeter_card *box);
