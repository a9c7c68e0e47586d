// SPDX-License-Identifier: GPL-2.0
/* Proprietary, and uses what is for the GPL */
#include <linux/module.h>

#include "../greeter.h"

static int __init greedy_init(void)
{
	pr_info("greedy: %d\n", greeter_gpl());
	return 0;
}
module_init(greedy_init);

MODULE_DESCRIPTION("Proprietary, and uses what is for the GPL");
MODULE_LICENSE("Proprietary");
