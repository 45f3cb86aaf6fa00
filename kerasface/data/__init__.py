"""Which images and which labels: tables of faces, made from folders, CelebA or drawings."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["synthetic"],
    submod_attrs={
        "celeba_files": ["CelebA", "celeba"],
        "duplicates": ["near_duplicates"],
        "folders": ["identity_folder", "unlabeled_folder"],
        "pairs": ["PairTable", "folder_pairs", "read_pairs"],
        "partition": ["split_folder"],
        "split": ["group_split", "stratified_split"],
        "synthetic": ["draw_face", "draw_scene", "drawn_faces"],
        "synthetic_celeba": ["drawn_celeba"],
        "table": ["CheckReport", "FaceTable", "check"],
    },
)
