"""stub"""
from neuroasync.study.case import Plan
from neuroasync.study.folder import Folder
def write_report(plan, folder, found): pass
