"""How a run reaches a tracker: session, spool on disk, sender process, replay."""
