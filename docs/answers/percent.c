// SPDX-License-Identifier: GPL-2.0
/* Takes 0 to 100. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

static uint percent = 50;

static int percent_set(const char *text, const struct kernel_param *param)
{
	return param_set_uint_minmax(text, param, 0, 100);
}

static const struct kernel_param_ops percent_ops = {
	.set = percent_set,
	.get = param_get_uint,
};
module_param_cb(percent, &percent_ops, &percent, 0644);
MODULE_PARM_DESC(percent, "0 to 100");

MODULE_DESCRIPTION("Takes 0 to 100");
MODULE_LICENSE("GPL");
