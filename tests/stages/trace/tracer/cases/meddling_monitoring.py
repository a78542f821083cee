# sys.monitoring (from 3.12 on) does nothing, and the trace says that it was tried.
import sys

def main():
    monitoring = getattr(sys, "monitoring", None)
    if monitoring:
        monitoring.use_tool_id(2, "mine")
        monitoring.set_events(2, monitoring.events.LINE)
    x = 1
    return x
