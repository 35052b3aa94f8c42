"""Have every MACE training train with --loss=ema_robust around the loss that it asks for (scripts/run_mace_tests.py).

In PYTHONPATH of MACE's tests and of the processes that they start. Python imports this module at its start.
"""

import sys


def _inject(apply):
    """Apply the plugin, then exchange the loss where MACE checks its arguments."""

    def apply_and_inject(module):
        import copy

        apply(module)
        tools = sys.modules["mace.tools"]
        check_args = tools.check_args

        def exchanged(args):
            if getattr(args, "loss", "ema_robust") != "ema_robust":
                args = copy.copy(args)
                args.ema_robust_base_loss, args.loss = args.loss, "ema_robust"
                print(f"injected: ema_robust around {args.ema_robust_base_loss}")
            return check_args(args)

        tools.check_args = exchanged

    return apply_and_inject


TRAINING = "mace.tools.scripts_utils"
_triggers = [finder for finder in sys.meta_path if type(finder).__name__ == "_Trigger"]
if not _triggers:  # then nothing would be injected, and nothing tested
    sys.exit("scripts/inject: the start-up hook of mace-outlier was not run in this Python")
for _finder in _triggers:
    _finder.pending[TRAINING] = _inject(_finder.pending[TRAINING])
