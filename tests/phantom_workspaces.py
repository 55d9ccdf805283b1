"""Workspaces that share the planned and preprocessed phantoms of the fixture `phantom_workspace`."""


def linked_workspace(phantom_workspace, folder):
    """Fills a folder with links to the phantoms' plans and data; results in it are seen by no other test."""
    for name in ("raw", "preprocessed", "plans"):
        (folder / name).symlink_to(phantom_workspace / name)
    return folder
