// SPDX-License-Identifier: GPL-2.0
/* Says how heavy the evening is. */
#include <linux/module.h>

u64 evening_weight(void);

static int __init report_init(void)
{
	pr_info("report: %llu in all\n", evening_weight());
	return 0;
}
module_init(report_init);

static void __exit report_exit(void)
{
}
module_exit(report_exit);

MODULE_DESCRIPTION("Says how heavy the evening is");
MODULE_LICENSE("GPL");
